"""Scripts that write a parallel seed from a public parallel set."""
