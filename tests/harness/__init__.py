"""Renders the chart and tells what is wrong with the result.

`helm` renders, `objects` indexes what came out, and each other module holds one kind of check: a function from objects
to findings, which is empty where all is well.
"""
