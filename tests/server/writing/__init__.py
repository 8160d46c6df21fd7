"""What is changed over HTTP."""
