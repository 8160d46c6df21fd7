"""Publishing: real stores on the loopback interface, real folders, killed publishers, readers that never rest."""
