// Opens files of a folder as VS Code would: TOML by the language server of Even Better TOML, JSON by VS Code's own. Reads
// a list of {path, text, line, character} and prints, for each, what is wrong and what is proposed at that place.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, folder] = process.argv.slice(2);
const require = createRequire(path.join(modules, "x.js"));
const root = path.resolve(folder);
const rootUri = pathToFileURL(root).href;
const asked = JSON.parse(fs.readFileSync(0, "utf8"));
const settings = JSON.parse(fs.readFileSync(path.join(root, ".vscode/settings.json"), "utf8"));
const uriOf = (file) => `${rootUri}/${file.split("/").map(encodeURIComponent).join("/")}`;

async function tomlEditor() {
  const { TaploLsp } = require("@taplo/lsp");
  const waiting = new Map();
  const diagnostics = new Map();
  const configured = { schema: { enabled: true, catalogs: [], associations: settings["evenBetterToml.schema.associations"] ?? {} } };
  const silent = async (bytes) => bytes.length;
  const server = await TaploLsp.initialize(
    {
      cwd: () => root,
      envVar: (name) => process.env[name],
      envVars: () => Object.entries(process.env),
      findConfigFile: (from) => [".taplo.toml", "taplo.toml"].map((name) => path.join(from, name)).find(fs.existsSync),
      glob: () => [],
      isAbsolute: (name) => path.isAbsolute(name),
      now: () => new Date(),
      readFile: (name) => fs.promises.readFile(name),
      writeFile: async () => {},
      stdErrAtty: () => false,
      stdin: async () => new Uint8Array(),
      stdout: silent,
      stderr: silent,
      urlToFilePath: (url) => decodeURIComponent(url).slice("file://".length),
    },
    {
      onMessage(message) {
        if (message.method === "workspace/configuration") {
          server.send({ jsonrpc: "2.0", id: message.id, result: message.params.items.map(() => configured) });
        } else if (message.method === "textDocument/publishDiagnostics") {
          diagnostics.set(message.params.uri, message.params.diagnostics);
        } else if (waiting.has(message.id)) {
          waiting.get(message.id)(message.result);
        }
      },
    },
  );
  let last = 0;
  const tell = (method, params) => server.send({ jsonrpc: "2.0", method, params });
  const ask = (method, params) =>
    new Promise((resolve) => {
      last += 1;
      waiting.set(last, resolve);
      server.send({ jsonrpc: "2.0", id: last, method, params });
    });
  const workspaceFolders = [{ uri: rootUri, name: "packages" }];
  const capabilities = { workspace: { configuration: true, workspaceFolders: true } };
  await ask("initialize", { processId: null, rootUri, workspaceFolders, capabilities, initializationOptions: {} });
  tell("initialized", {});
  const settled = async (isSo) => {
    for (let turn = 0; turn < 200 && !isSo(); turn += 1) await new Promise((resolve) => setTimeout(resolve, 50));
  };
  return async ({ path: file, text, line, character }) => {
    const uri = uriOf(file);
    // It takes its configuration in a while after it has begun.
    let schema = null;
    for (let turn = 0; turn < 100 && schema === null; turn += 1) {
      schema = (await ask("taplo/associatedSchema", { documentUri: uri }))?.schema?.url ?? null;
      if (schema === null) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    tell("textDocument/didOpen", { textDocument: { uri, languageId: "toml", version: 1, text } });
    await settled(() => diagnostics.has(uri));
    await new Promise((resolve) => setTimeout(resolve, 300)); // what the schema says comes after what the syntax says
    const found = await ask("textDocument/completion", { textDocument: { uri }, position: { line, character } });
    const items = Array.isArray(found) ? found : (found?.items ?? []);
    return { schema, problems: diagnostics.get(uri).map((one) => one.message), proposed: items.map((one) => one.label) };
  };
}

function jsonEditor() {
  const { getLanguageService, TextDocument } = require("vscode-json-languageservice");
  const service = getLanguageService({
    schemaRequestService: async (uri) => fs.readFileSync(new URL(uri), "utf8"),
    workspaceContext: { resolveRelativePath: (relative, from) => new URL(relative, from).href },
  });
  // As VS Code takes them: a path that begins with a dot is one in the folder.
  const schemas = (settings["json.schemas"] ?? []).map(({ fileMatch, url }) => ({
    fileMatch,
    folderUri: rootUri,
    uri: pathToFileURL(path.join(root, url)).href,
  }));
  service.configure({ schemas, validate: true });
  return async ({ path: file, text, line, character }) => {
    const document = TextDocument.create(uriOf(file), "json", 1, text);
    const parsed = service.parseJSONDocument(document);
    const problems = await service.doValidation(document, parsed);
    const found = await service.doComplete(document, { line, character }, parsed);
    const used = service.getMatchingSchemas ? await service.getMatchingSchemas(document, parsed) : [];
    return {
      schema: used.length ? "matched" : null,
      problems: problems.map((one) => one.message),
      proposed: found.items.map((one) => one.label),
    };
  };
}

const editors = { toml: await tomlEditor(), json: jsonEditor() };
const answers = [];
for (const one of asked) answers.push(await editors[one.path.split(".").at(-1)](one));
process.stdout.write(JSON.stringify(answers), () => process.exit(0));
