"""Publishing: real stores on the loopback interface and real folders, killed publishers, and readers that never rest."""
