// A terminal in the page: what the dashboard draws comes over a websocket, what is typed goes back over it.
import { Terminal } from "./xterm/xterm.mjs";
import { FitAddon } from "./xterm/addon-fit.mjs";
import { WebglAddon } from "./xterm/addon-webgl.mjs";

const REASONS = {
  4401: "This session is over: its key no longer opens the gateway, or half a day has passed.",
  4429: "As many dashboards are open as this machine allows. Close one and open this one again.",
  4410: "The dashboard was left. The gateway goes on.",
};

const terminal = new Terminal({
  fontFamily: 'ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace',
  fontSize: 14,
  scrollback: 0,
  theme: { background: "#0d1117", foreground: "#e6edf3" },
});
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(document.getElementById("terminal"));
try {
  // draws boxes and bars without gaps; without it the page's own text does
  const painter = new WebglAddon();
  painter.onContextLoss(() => painter.dispose());
  terminal.loadAddon(painter);
} catch {
  console.info("no WebGL here");
}
terminal.parser.registerOscHandler(52, (data) => {
  // a copy, never a paste: the clipboard is not read
  const text = data.slice(data.indexOf(";") + 1);
  if (text !== "?") {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    navigator.clipboard?.writeText(new TextDecoder().decode(bytes)).catch(() => {});
  }
  return true;
});
fit.fit();

const address = new URL(`ws?width=${terminal.cols}&height=${terminal.rows}`, location.href);
address.protocol = address.protocol.replace("http", "ws");
const socket = new WebSocket(address);
socket.binaryType = "arraybuffer";
const send = (...message) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));
socket.addEventListener("open", () => {
  send("resize", terminal.cols, terminal.rows);
  terminal.focus();
});
socket.addEventListener("message", (event) => terminal.write(new Uint8Array(event.data)));
socket.addEventListener("close", (event) => {
  document.getElementById("why").textContent = REASONS[event.code] ?? "The connection to the dashboard is lost.";
  document.getElementById("closed").hidden = false;
  document.getElementById("again").focus();
});
terminal.onData((text) => send("stdin", text));
terminal.onBinary((text) => send("stdin", text));
terminal.onResize(({ cols, rows }) => send("resize", cols, rows));
new ResizeObserver(() => fit.fit()).observe(document.getElementById("terminal"));
document.getElementById("again").addEventListener("click", () => location.reload());
