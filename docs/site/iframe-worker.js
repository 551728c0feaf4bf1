// Browsers refuse web workers in pages that are opened from the file system, and the search of the site is a web worker.
// In such pages, this replacement for Worker runs the script of the worker in a hidden frame.
if (location.protocol === "file:") {
  // Messages between a page and a worker arrive later, never within the call that sends them.
  const deliver = (target, data) => setTimeout(() => target.onmessage?.(new MessageEvent("message", { data })));

  window.Worker = class {
    constructor(url) {
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.srcdoc = `<script src="${new URL(url, location)}"></script>`;
      this.loaded = new Promise((resolve) => {
        frame.addEventListener("load", () => {
          // In a worker, postMessage sends to the page. In a frame, it would send to the frame itself.
          frame.contentWindow.postMessage = (data) => deliver(this, data);
          resolve(frame.contentWindow);
        });
      });
      document.body.append(frame);
    }

    postMessage(data) {
      this.loaded.then((scope) => deliver(scope, data));
    }
  };
}
