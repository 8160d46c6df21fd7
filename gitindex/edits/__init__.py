"""What each command that writes would change: from a snapshot to a plan of paths and bytes. Nothing is written here."""
