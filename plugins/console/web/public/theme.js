// Before the first paint: the theme that was chosen here, so that a dark page does not begin white.
try {
  const theme = localStorage.getItem("tollgate.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Without storage the system's theme stands.
}
