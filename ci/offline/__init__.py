"""The back end of `make cluster` and `make image` where no image registry can be reached.

Everything here exists only for that case (an air-gapped network, or CI behind package mirrors): it builds kind's
node image, the vLLM CPU image and a small model from the Go, Debian and Python package registries.
"""
