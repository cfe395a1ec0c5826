"""Makes `python -m vllm_chart` the command `vllm-chart`."""

from vllm_chart.cli import run

if __name__ == "__main__":
    run()
