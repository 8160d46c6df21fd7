// Runs a Worker as a web server on the loopback interface, with a folder as its assets: as Cloudflare documents them
// with html_handling and not_found_handling "none". Arguments: the Worker, the folder. It prints its port.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [script, folder] = process.argv.slice(2);
const worker = (await import(pathToFileURL(script))).default;

async function asset(request) {
  const path = decodeURIComponent(new URL(request.url).pathname);
  if (path.split("/").some((part) => part === "..")) return new Response("bad", { status: 400 });
  if (path.split("/").some((part) => part.startsWith("."))) return new Response("ignored", { status: 404 });
  let data;
  try {
    data = await readFile(join(folder, path));
  } catch {
    return new Response("no such asset", { status: 404 });
  }
  if (path.includes("broken")) return new Response("broken", { status: 500 });
  const etag = `"${createHash("sha256").update(data).digest("hex")}"`;
  const headers = { ETag: etag, "Content-Type": "application/x-guessed", "Cache-Control": "public, max-age=0" };
  if (request.headers.get("If-None-Match") === etag) return new Response(null, { status: 304, headers });
  return new Response(request.method === "HEAD" ? null : data, { headers });
}

const server = createServer(async (incoming, outgoing) => {
  let answer;
  try {
    const request = new Request(`http://${incoming.headers.host}${incoming.url}`, { method: incoming.method, headers: incoming.headers });
    answer = await worker.fetch(request, { ASSETS: { fetch: asset } });
  } catch (error) {
    answer = new Response(String(error), { status: 599 });
  }
  outgoing.writeHead(answer.status, Object.fromEntries(answer.headers));
  outgoing.end(Buffer.from(await answer.arrayBuffer()));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
