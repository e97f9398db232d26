// Before the first paint, so that a chosen theme does not flash. A file of its own, because no inline script is allowed.
try {
  const theme = localStorage.getItem('parley.theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // storage is refused: the system's theme holds
}
