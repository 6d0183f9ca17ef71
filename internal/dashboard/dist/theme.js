// Light or dark is known before the first paint: nobody is dazzled at 3 a.m. A file of its own, because the policy of
// content allows no script within the page.
(function () {
  var chosen = "auto";
  try {
    chosen = localStorage.getItem("adg.scheme") || "auto";
  } catch {
    // A browser that keeps nothing goes by the system.
  }
  var dark = chosen === "dark" || (chosen === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
})();
