"""What some tests need on the cluster and the demo doesn't wait for."""
