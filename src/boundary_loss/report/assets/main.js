// Puts everything in its place.

runBar(["curves", "cases", "gallery"]);
themes();
sortableTables();
curves();
cases();
gallery();
document.documentElement.dataset.ready = "yes";
