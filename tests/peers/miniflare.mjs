// Serves a site by its Worker, as its wrangler.toml (here as JSON) says: node miniflare.mjs PORT WRANGLER FOLDER
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const [port, file, folder] = process.argv.slice(2);
const { Miniflare } = createRequire(`${process.env.MINIFLARE}/`)("miniflare");
const said = JSON.parse(readFileSync(file, "utf-8"));
const server = new Miniflare({
  host: "127.0.0.1",
  port: Number(port),
  name: said.name,
  modules: true,
  script: readFileSync(path.join(folder, said.main), "utf-8"),
  compatibilityDate: said.compatibility_date,
  assets: {
    directory: path.join(folder, said.assets.directory),
    binding: said.assets.binding,
    routerConfig: { invoke_user_worker_ahead_of_assets: said.assets.run_worker_first, has_user_worker: true },
    assetConfig: { html_handling: said.assets.html_handling, not_found_handling: said.assets.not_found_handling },
  },
});
await server.ready;
process.on("SIGTERM", async () => {
  await server.dispose();
  process.exit(0);
});
