"use strict";
// For a CRM's page: puts the softphone into a frame and passes messages on. Nothing else; the page stays as it is.
//
//   <div id="phone"></div>
//   <script src="http://127.0.0.1:8750/softphone/embed.js" data-into="#phone"></script>
//
// Then crmsyncSoftphone.dial("+49 30 1234567"), and events “softphone” on that element: event.detail is
// {type: "ready" | "call" | "gone" | "open" | "create" | "unreachable", …}.
(() => {
  const script = document.currentScript;
  const origin = new URL(script.src).origin;
  const place = document.querySelector(script.dataset.into || "body");
  if (place === null) return;
  const frame = document.createElement("iframe");
  frame.src = origin + "/softphone";
  frame.title = "Telephone";
  frame.allow = "loopback-network; local-network-access";
  frame.style.cssText = "border:0;width:100%;height:100%;min-height:24rem";
  let ready = false;

  const tell = (detail) => place.dispatchEvent(new CustomEvent("softphone", { detail }));
  const say = (message) => frame.contentWindow.postMessage({ crmsync: 1, ...message }, origin);

  window.addEventListener("message", (event) => {
    if (event.origin !== origin || event.source !== frame.contentWindow) return;
    const message = event.data;
    if (typeof message !== "object" || message === null || message.crmsync !== 1) return;
    if (typeof message.type !== "string") return;
    ready = true;
    tell(message);
  });
  frame.addEventListener("load", () => {
    say({ type: "hello" });
    // The service does not run, the browser was told to keep pages from this machine, or this page may not embed it.
    setTimeout(() => { if (!ready) tell({ type: "unreachable" }); }, 5000);
  });
  place.append(frame);
  window.crmsyncSoftphone = Object.freeze({ dial: (number) => say({ type: "dial", number: String(number) }) });
})();
