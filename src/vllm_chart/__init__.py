"""Renders the chart and finds problems of the result.

`render.helm` renders, `render.objects` indexes the result, and each module of `invariants` has a function from objects
to findings. The package contains the chart and needs a Helm program:

    rendered = helm.render(Path("my-values.yaml"))
    findings = pod_security.findings(rendered.objects)
"""
