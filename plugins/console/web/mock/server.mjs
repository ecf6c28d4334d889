// The console's API with made-up contents, for looking at every page: node mock/server.mjs [--port 3999] [--empty] [--rows 1000000]
import { createServer } from "node:http";
import { readFileSync, statSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { answer, chatRoute, PASSWORD, Refusal } from "./routes.mjs";

const argument = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const port = Number(argument("port", "3999"));
const assets = fileURLToPath(new URL("../../assets/", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml" };
const BODY_BYTES_MAX = 1 << 20;

export const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

async function bodyOf(request) {
  const pieces = [];
  let length = 0;
  for await (const piece of request) {
    length += piece.length;
    if (length > BODY_BYTES_MAX) throw new Refusal(413, "INVALID", "the body is above 1 MiB");
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

function sendFile(path, response) {
  let file = join(assets, normalize(`/${path}`));
  try {
    if (!statSync(file).isFile()) throw new Error("a folder");
  } catch {
    if (path.startsWith("assets/")) {
      response.writeHead(404).end();
      return;
    }
    file = join(assets, "index.html");
  }
  response.setHeader("content-type", TYPES[extname(file)] ?? "application/octet-stream");
  response.setHeader("cache-control", path.startsWith("assets/") ? "public, max-age=31536000, immutable" : "no-store");
  response.end(readFileSync(file));
}

async function serve(request, response) {
  const url = new URL(request.url, "http://mock");
  if (url.pathname === "/v1/chat/completions") {
    await chatRoute(request, response, await bodyOf(request));
    return;
  }
  if (url.pathname !== "/console" && !url.pathname.startsWith("/console/")) {
    response.writeHead(404).end();
    return;
  }
  response.setHeader("content-security-policy", POLICY);
  response.setHeader("x-content-type-options", "nosniff");
  response.setHeader("referrer-policy", "no-referrer");
  const path = url.pathname.slice("/console/".length);
  if (!/^(api|internal)(\/|$)/.test(path)) {
    sendFile(path, response);
    return;
  }
  response.setHeader("cache-control", "no-store");
  try {
    await answer(request, response, url, path, await bodyOf(request));
  } catch (failure) {
    const refusal = failure instanceof Refusal ? failure : new Refusal(500, "BROKEN", String(failure.stack));
    response.writeHead(refusal.status, { "content-type": "application/json" });
    response.end(JSON.stringify({ error: { code: refusal.code, message: refusal.message, ...refusal.more } }));
  }
}

createServer((request, response) => {
  serve(request, response).catch((failure) => {
    console.error(failure);
    response.destroy();
  });
}).listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/console/\nadmin password: ${PASSWORD}`));
