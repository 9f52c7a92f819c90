// What makes lists quicker by hand: tick a whole page, and a word about files that are too large
// before they are sent. Pages work without.
document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-tick-all]")) return;
  const boxes = event.target.closest("table").querySelectorAll("tbody input[type=checkbox]");
  for (const box of boxes) box.checked = event.target.checked;
});
document.addEventListener("change", (event) => {
  const most = Number(event.target.dataset.mostMib);
  if (!most) return;
  const tooLarge = [...event.target.files].some((file) => file.size > most * 2 ** 20);
  event.target.setCustomValidity(tooLarge ? `At most ${most} MiB here.` : "");
  event.target.reportValidity();
});
