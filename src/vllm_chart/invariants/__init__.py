"""What must be true of a rendered chart, one subject in each module."""
