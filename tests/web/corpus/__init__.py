"""Texts that try to run a script in the page or to send something away: harmless, since a script would only set
`window.hit`, and every foreign address is of `example`, which no test resolves."""
