// What htmx leaves to the page. Nothing here is needed to use it: without JavaScript browsers do the same.
"use strict";
// Moments come in UTC: write them in the time of whoever looks.
const localise = () => {
  const write = new Intl.DateTimeFormat(document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang,
    { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  for (const time of document.querySelectorAll("time[data-moment]")) {
    time.textContent = write.format(new Date(time.dateTime));
    time.removeAttribute("data-moment");
  }
};
localise();
addEventListener("htmx:afterSettle", localise);
// A new page begins at its top, or at what went wrong, also for those who hear it read out.
addEventListener("htmx:afterSettle", ({ detail }) => {
  if (detail.target !== document.body) return;
  const begin = ["main .notice.bad", "[data-begin]", "#content"].map((one) => document.querySelector(one)).find(Boolean);
  const kept = document.activeElement !== document.body; // what was used is there again
  if (!begin || (kept && begin.id === "content")) return;
  begin.focus({ preventScroll: true });
  if (begin.id === "content") scrollTo(0, 0);
  else begin.scrollIntoView({ block: "center" });
});
// Nobody answers: go there as a browser does, which says so.
addEventListener("htmx:sendError", ({ detail }) => {
  if (detail.boosted && detail.requestConfig.verb === "get") location.assign(detail.pathInfo.requestPath);
});
// Escape closes a picture that fills the screen.
addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && document.querySelector(".zoom:target a");
  if (open) open.click();
});
