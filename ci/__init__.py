"""What turns a machine into a cluster that can run the chart; see ci/README.md."""
