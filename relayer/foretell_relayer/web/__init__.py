"""What the relayer serves over HTTP: a page for its operator, figures and health. It changes nothing."""
