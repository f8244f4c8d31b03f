"""The page that shows the API's description. One text without anything from elsewhere, so that it works offline."""

from __future__ import annotations

from typing import Final

__all__ = ["PAGE"]

PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>pyopenadr API</title>
<style>
:root { color-scheme: light dark; --line: #8885; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2rem }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .4rem 0; padding: .3rem .7rem }
summary { cursor: pointer }
code, pre, textarea, input { font-family: ui-monospace, monospace; font-size: .9rem }
pre { background: var(--soft); padding: .6rem; overflow: auto; max-height: 24rem }
.method { display: inline-block; min-width: 4.2rem; font-weight: 600 }
label { display: block; margin: .4rem 0 } input, textarea { width: 100%; box-sizing: border-box; padding: .3rem }
textarea { min-height: 8rem } .note { opacity: .75 }
</style>
<h1 id="title">pyopenadr API</h1>
<div id="about"></div>
<label>Token, for the requests that you try; it stays in this page
<input id="token" type="password" autocomplete="off"></label>
<p><a href="openapi.json">The OpenAPI document</a></p>
<main id="operations">Loading …</main>
<script>
"use strict";
const made = (name, text, parent) => {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
};
let api;
const resolved = (schema) => schema && schema.$ref ? api.components.schemas[schema.$ref.split("/").pop()] : schema;
function outline(schema, depth = 0) {
  schema = resolved(schema) || {};
  if (depth > 6) return "…";
  const some = schema.oneOf || schema.anyOf;
  if (some) return some.map((one) => outline(one, depth)).find((one) => one !== null) ?? null;
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.properties) {
    const pairs = Object.entries(schema.properties).map(([name, one]) => [name, outline(one, depth + 1)]);
    return Object.fromEntries(pairs);
  }
  const type = [].concat(schema.type || "any").find((one) => one !== "null") || null;
  if (type === "array") return [outline(schema.items || (schema.prefixItems || [])[0], depth + 1)];
  return type === null ? null : schema.format || type;
}
function operation(path, method, about, parent) {
  const box = made("details", undefined, parent), head = made("summary", undefined, box);
  made("span", method.toUpperCase(), head).className = "method";
  made("code", path, head);
  head.append(" " + (about.summary || ""));
  if (about.description) made("p", about.description, box);
  const fields = (about.parameters || []).map((parameter) => {
    const label = made("label", undefined, box);
    made("code", parameter.name, label);
    label.append(` (${parameter.in}${parameter.required ? ", needed" : ""}) ${parameter.description || ""}`);
    return [parameter, made("input", undefined, label)];
  });
  let body;
  const content = about.requestBody && about.requestBody.content["application/json"];
  if (content) {
    made("p", "Body:", box);
    made("pre", JSON.stringify(outline(content.schema), null, 2), box);
    const label = made("label", "Body to send", box);
    body = made("textarea", undefined, label);
  }
  const button = made("button", "Try it", box), answer = made("pre", undefined, box);
  answer.hidden = true;
  button.onclick = async () => {
    const headers = {Authorization: "Bearer " + document.getElementById("token").value}, query = new URLSearchParams();
    let url = path;
    for (const [parameter, input] of fields) {
      if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value && parameter.in === "query") query.append(parameter.name, input.value);
      else if (input.value && parameter.in === "header") headers[parameter.name] = input.value;
    }
    if (body && body.value) headers["Content-Type"] = "application/json";
    if (query.size) url += "?" + query;
    answer.hidden = false;
    answer.textContent = "…";
    try {
      const reply = await fetch(url, {method: method.toUpperCase(), headers, body: body && body.value || undefined});
      let text = await reply.text();
      try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* no JSON: as it is */ }
      const tag = reply.headers.get("etag");
      answer.textContent = `${reply.status} ${reply.statusText}${tag ? "\\nETag: " + tag : ""}\\n\\n${text}`;
    } catch (error) { answer.textContent = String(error); }
  };
  if (path.endsWith("/stream")) button.hidden = true;
}
(async () => {
  const main = document.getElementById("operations");
  try { api = await (await fetch("openapi.json")).json(); }
  catch (error) { main.textContent = String(error); return; }
  document.getElementById("title").textContent = `${api.info.title} ${api.info.version}`;
  for (const text of api.info.description.split("\\n\\n")) made("p", text, document.getElementById("about"));
  main.textContent = "";
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths))
    for (const [method, about] of Object.entries(methods)) {
      const tag = (about.tags || ["more"])[0];
      if (!groups.has(tag)) { made("h2", tag, main); groups.set(tag, made("div", undefined, main)); }
      operation(path, method, about, groups.get(tag));
    }
})();
</script>
</html>
"""
