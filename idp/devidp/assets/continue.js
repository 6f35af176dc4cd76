"use strict";
// Sends the answer on to the application; without script the button does it.
document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("form[data-continue]");
  if (form) form.submit();
});
