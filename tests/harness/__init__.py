"""Renders the chart and tells what is wrong with the result.

`helm` renders, `objects` indexes what came out, and each other module holds one kind of check: a function from objects
to findings, which is empty where all is well. The library is a wheel (`uv build --wheel`), which needs a Helm program
and nothing of this repository. There, name the chart:

    rendered = helm.render(Path("my-values.yaml"), chart=Path("charts/vllm"))
    findings = pod_security.findings(rendered.objects)
"""
