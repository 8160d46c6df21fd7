// Serves the site, and sends clients to an upstream for what is not in it. Written by gitindex render.

const RULES = /* RULES */;

export default {
  async fetch(request, env) {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response("method not allowed\n", { status: 405, headers: { Allow: "GET, HEAD" } });
    }
    const url = new URL(request.url);
    if (!url.pathname.startsWith(RULES.base)) return missing(request, env, url);
    const path = decoded(url.pathname.slice(RULES.base.length));
    if (path === null || /(?:^|\/)\.(?!well-known\/)/.test(path)) return missing(request, env, url);
    const page = path.match(RULES.simple);
    if (page) return simple(request, env, url, path, page[1], page[2]);
    if (new RegExp(RULES.bare).test(path)) return moved(url);
    const file = path.match(RULES.file);
    if (file) return found(await asset(request, env, url, path), RULES.pages, RULES.types[file[1]]) ?? missing(request, env, url);
    if (new RegExp(RULES.below).test(path)) return missing(request, env, url);
    if (new RegExp(RULES.stored).test(path)) {
      const type = RULES.fileTypes[extension(path)] ?? RULES.bytes;
      return found(await asset(request, env, url, path), RULES.files, type) ?? missing(request, env, url);
    }
    const own = path === "" || path.endsWith("/") ? path + "index.html" : path;
    const answer = found(await asset(request, env, url, own), RULES.people, RULES.contentTypes[extension(own)]);
    if (answer) return answer;
    const isFolder = own === path && (await asset(request, env, url, path + "/index.html")).status !== 404;
    return isFolder ? moved(url) : missing(request, env, url);
  },
};

// The path that is meant, null where one of its parts is none: it is looked at once, and all that follows sees the same.
function decoded(path) {
  try {
    const parts = path.split("/").map(decodeURIComponent);
    return parts.some((part) => /[/\\\0]/.test(part)) || parts.slice(0, -1).includes("") ? null : parts.join("/");
  } catch {
    return null;
  }
}

function moved(url) {
  return new Response(null, { status: 301, headers: { Location: url.pathname + "/" + url.search, ...RULES.people } });
}

// A page in the form that is asked for. Only what the site answers with "not there" falls through: another failure of
// it says nothing about whose a name is.
async function simple(request, env, url, path, index, project) {
  const form = wanted(request.headers.get("Accept"));
  const headers = { ...RULES.pages, Vary: "Accept" };
  if (form === "json") {
    const answer = found(await asset(request, env, url, path + "index.json"), headers, RULES.types.json);
    if (answer) return answer;
  }
  const html = form === "vendor" ? RULES.types.vendor : RULES.types.html;
  const answer = found(await asset(request, env, url, path + "index.html"), headers, html);
  if (answer) return answer;
  const upstream = project ? fallsTo(index, project) : null;
  if (!upstream) return missing(request, env, url);
  return new Response(null, {
    status: 302,
    headers: { Location: `${upstream}${project}/`, "Cache-Control": "no-store", Vary: "Accept" },
  });
}

function fallsTo(index, project) {
  if (RULES.reserved.some((glob) => fits(glob, project))) return null;
  for (const { indexes, names, upstream } of RULES.cases) {
    if (indexes.includes(index) && (names.length === 0 || names.includes(project))) return upstream;
  }
  return null;
}

// `*` and `?`, in time that grows with the two lengths alone.
function fits(glob, text) {
  let g = 0, t = 0, star = -1, from = 0;
  while (t < text.length) {
    if (glob[g] === "*") { star = g++; from = t; }
    else if (g < glob.length && (glob[g] === "?" || glob[g] === text[t])) { g++; t++; }
    else if (star >= 0) { g = star + 1; t = ++from; }
    else return false;
  }
  while (glob[g] === "*") g++;
  return g === glob.length;
}

// The form with the highest quality; of equal ones JSON first. A wildcard means HTML.
function wanted(accept) {
  let best = "html", highest = 0;
  const qualities = { json: 0, vendor: 0, html: 0 };
  for (const part of (accept ?? "").toLowerCase().split(",")) {
    const [type, ...parameters] = part.split(";").map((word) => word.trim());
    const quality = parameters.map((word) => word.match(/^q\s*=\s*([0-9.]+)$/)).find((match) => match);
    const q = quality ? Number(quality[1]) : 1;
    for (const [form, name] of Object.entries(RULES.named)) {
      if (type === name || type === name.replace(".v1+", ".latest+")) qualities[form] = q;
    }
    if ((type === "*/*" || type === "text/*") && qualities.html === 0) qualities.html = q;
  }
  for (const form of ["json", "vendor", "html"]) {
    if (qualities[form] > highest) [best, highest] = [form, qualities[form]];
  }
  return best;
}

function asset(request, env, url, path) {
  const target = new URL(url);
  // As Cloudflare writes it: for any other spelling it answers where this one is.
  target.pathname = "/" + path.split("/").map(encodeURIComponent).join("/");
  target.search = "";
  return env.ASSETS.fetch(new Request(target, { method: request.method, headers: request.headers }));
}

function found(answer, headers, type) {
  if (answer.status === 404) return null;
  const made = new Response(answer.body, answer);
  if (answer.ok || answer.status === 304) {
    for (const [name, value] of Object.entries(headers)) made.headers.set(name, value);
    if (type && answer.status !== 304) made.headers.set("Content-Type", type);
  }
  return made;
}

async function missing(request, env, url) {
  const page = await env.ASSETS.fetch(new Request(new URL("/404.html", url), { method: request.method }));
  const body = page.ok ? page.body : "not found\n";
  const headers = { ...RULES.people, "Cache-Control": "no-store", "Content-Type": page.ok ? RULES.types.html : "text/plain; charset=utf-8" };
  return new Response(body, { status: 404, headers });
}

function extension(path) {
  return path.slice(path.lastIndexOf(".") + 1);
}
