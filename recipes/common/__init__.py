"""What several recipes share: options, stages, wording, provenance, checks of texts."""
