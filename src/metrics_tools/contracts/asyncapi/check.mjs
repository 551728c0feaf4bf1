// Checks an AsyncAPI document with AsyncAPI's own parser, the schemas in the folder `schemas` next to it against JSON
// Schema 2020-12 (which the parser does not support by itself), and its examples against their schemas. The check fails
// on errors and warnings, and uses no network.
//
//     node check.mjs docs/contracts/asyncapi.yaml

import { readFileSync, readdirSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { dirname, join } from "node:path";
import { Parser, fromFile } from "@asyncapi/parser";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";

const DIALECT = "application/schema+json;version=draft-2020-12";
const WARNING = 1;

for (const transport of [http, https]) {
  transport.request = () => {
    throw new Error("a reference must point to a file, because the check uses no network");
  };
}

const file = process.argv[2];
const problems = [];

const ajv = formats.default(new Ajv2020({ strict: true, strictRequired: false, allErrors: true }));
const folder = join(dirname(file), "schemas");
const compiled = new Map();
for (const name of readdirSync(folder)) {
  const schema = JSON.parse(readFileSync(join(folder, name), "utf8"));
  try {
    compiled.set(schema.$id, ajv.compile(schema));
  } catch (error) {
    problems.push(`schemas/${name}: ${error.message}`);
  }
}

// The parser resolves references within a schema, but the schema of a node refers to itself. So the parser does not
// check schemas: this file compiles them itself.
const draft2020 = { getMimeTypes: () => [DIALECT], parse: ({ data }) => data, validate: () => [] };
const { document, diagnostics } = await fromFile(new Parser({ schemaParsers: [draft2020] }), file).parse();
for (const { severity, code, path, message } of diagnostics) {
  if (severity <= WARNING) problems.push(`${path.join(".")}: ${message} (${code})`);
}

let messages = 0;
let examples = 0;
for (const message of document?.components().messages() ?? []) {
  messages += 1;
  const { schemaFormat, schema } = message.payload().json();
  if (schemaFormat !== DIALECT) problems.push(`${message.id()}: its schemaFormat is ${schemaFormat}`);
  const valid = compiled.get(schema.$id);
  if (!valid) problems.push(`${message.id()}: its schema is not in schemas/`);
  for (const example of message.examples()) {
    examples += 1;
    if (valid && !valid(example.payload())) {
      problems.push(`${message.id()}, example ${example.name()}: ${ajv.errorsText(valid.errors)}`);
    }
  }
}
if (document && !examples) problems.push("the document has no examples");

for (const problem of problems) console.error(problem);
if (problems.length) process.exit(1);
console.log(`${file}: valid AsyncAPI ${document.version()}, ${messages} messages, ${examples} examples`);
