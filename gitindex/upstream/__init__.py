"""Other indexes over HTTP: what a mirror shows of a project, with the mirror's own filters applied."""
