// The interactive reference: reads openapi.json of this installation and nothing else from anywhere.
"use strict";

let document_;
let token = "";
let tenant = "";

const METHODS = ["get", "post", "put", "patch", "delete"];

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function resolved(item) {
  if (!item || !item.$ref) return item || {};
  return item.$ref.slice(2).split("/").reduce((place, key) => place[key], document_);
}

function typeName(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  const several = schema.anyOf || schema.oneOf;
  if (several) return several.map(typeName).join(" | ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return `${typeName(schema.items)}[]`;
  return schema.format ? `${schema.type} (${schema.format})` : schema.type || "object";
}

function schemaTable(schema) {
  const whole = resolved(schema);
  if (!whole.properties) return element("p", {}, typeName(schema));
  const rows = Object.entries(whole.properties).map(([name, member]) =>
    element("tr", {},
      element("td", {}, element("code", {}, name), (whole.required || []).includes(name) ? " *" : ""),
      element("td", {}, typeName(member)),
      element("td", {}, member.description || "")));
  return element("table", {}, element("tbody", {}, ...rows));
}

function example(schema, depth = 0) {
  const whole = resolved(schema);
  if (whole.examples && whole.examples.length) return whole.examples[0];
  if (whole.default !== undefined) return whole.default;
  if (whole.const !== undefined) return whole.const;
  if (whole.enum) return whole.enum[0];
  const several = whole.anyOf || whole.oneOf;
  if (several) return example(several[0], depth);
  if (whole.properties && depth < 5) {
    const names = whole.required || Object.keys(whole.properties);
    return Object.fromEntries(names.map((name) => [name, example(whole.properties[name], depth + 1)]));
  }
  return { string: "", boolean: false, integer: 1, number: 1, array: [], object: {} }[whole.type] ?? null;
}

function parameterTable(parameters) {
  if (!parameters.length) return null;
  const rows = parameters.map((each) =>
    element("tr", {},
      element("td", {}, element("code", {}, each.name), each.required ? " *" : ""),
      element("td", {}, each.in),
      element("td", {}, typeName(each.schema)),
      element("td", {}, each.description || "")));
  return element("table", {}, element("tbody", {}, ...rows));
}

function responseList(responses) {
  return Object.entries(responses).map(([status, given]) => {
    const response = resolved(given);
    const content = Object.entries(response.content || {});
    const part = element("details", {}, element("summary", {}, element("code", {}, status), " ", response.description || ""));
    for (const [mediaType, media] of content) {
      part.append(element("p", {}, element("code", {}, mediaType)));
      if (media.schema) part.append(schemaTable(media.schema));
      for (const [name, shown] of Object.entries(media.examples || {})) {
        part.append(element("details", {}, element("summary", {}, name), element("pre", {}, JSON.stringify(shown.value, null, 2))));
      }
    }
    return part;
  });
}

function tryForm(path, method, operation, parameters) {
  const form = element("form", {});
  const fields = parameters.map((each) => {
    const given = each.name === "tenant" && each.in === "path" ? tenant : "";
    const input = element("input", { name: each.name, value: given, required: each.required && each.in === "path" });
    input.dataset.place = each.in;
    return element("label", {}, `${each.name} `, input);
  });
  form.append(element("fieldset", {}, element("legend", {}, "Ausprobieren / try"), ...fields));
  const content = operation.requestBody ? operation.requestBody.content : {};
  const mediaType = Object.keys(content).find((each) => each.includes("json"));
  let body = null;
  let file = null;
  if (mediaType) {
    body = element("textarea", { rows: 12, "aria-label": "Body" });
    body.value = JSON.stringify(example(content[mediaType].schema), null, 2);
    form.append(body);
  } else if (content["multipart/form-data"] && path.endsWith("/attachments")) {
    file = element("input", { type: "file", name: "file" });
    form.append(element("label", {}, "file ", file));
  }
  const answer = element("pre", { "aria-live": "polite" });
  form.append(element("button", {}, `${method.toUpperCase()} senden / send`), answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    answer.textContent = "…";
    answer.textContent = await sent(path, method, form, mediaType, body, file).catch((error) => String(error));
  });
  return form;
}

async function sent(path, method, form, mediaType, body, file) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const query = new URLSearchParams();
  let url = path;
  for (const input of form.querySelectorAll("input[data-place]")) {
    const value = input.value;
    if (input.dataset.place === "path") url = url.replace(`{${input.name}}`, encodeURIComponent(value));
    else if (value && input.dataset.place === "query") query.append(input.name, value);
    else if (value && input.dataset.place === "header") headers[input.name] = value;
  }
  const options = { method: method.toUpperCase(), headers };
  if (body) {
    headers["Content-Type"] = mediaType;
    options.body = body.value;
  } else if (file && file.files.length) {
    options.body = new FormData();
    options.body.append("file", file.files[0]);
  }
  const response = await fetch(query.size ? `${url}?${query}` : url, options);
  const type = response.headers.get("Content-Type") || "";
  const text = type.includes("json") ? JSON.stringify(await response.json(), null, 2)
    : type.startsWith("text/") || type === "message/rfc822" ? await response.text()
    : `${(await response.blob()).size} bytes ${type}`;
  return `${response.status} ${response.statusText}\n${[...response.headers].map((pair) => pair.join(": ")).join("\n")}\n\n${text}`;
}

function operationBlock(path, method, operation) {
  const parameters = [...(document_.paths[path].parameters || []), ...(operation.parameters || [])].map(resolved);
  const scopes = (operation.security || []).flatMap((each) => each.token || []);
  const block = element("details", { class: "operation", id: operation.operationId },
    element("summary", {}, element("span", { class: "method" }, method.toUpperCase()), element("code", {}, path), " ",
      operation.summary || "", " ", operation["x-impact"] ? element("span", { class: "impact" }, operation["x-impact"]) : null));
  // the inside is built when it is opened: a page of fifty forms would be slow for everybody
  block.addEventListener("toggle", () => {
    if (block.childElementCount > 1) return;
    const content = operation.requestBody ? Object.entries(operation.requestBody.content) : [];
    block.append(...[
      operation.description ? element("p", {}, operation.description) : null,
      scopes.length ? element("p", {}, "Scope: ", element("code", {}, scopes.join(" | "))) : null,
      parameterTable(parameters),
      ...content.flatMap(([type, media]) => [element("p", {}, element("code", {}, type)), schemaTable(media.schema)]),
      ...responseList(operation.responses),
      tryForm(path, method, operation, parameters),
    ].filter(Boolean));
  });
  return block;
}

function show() {
  document.getElementById("version").textContent = document_.info.version;
  document.getElementById("description").textContent = document_.info.description;
  const groups = new Map();
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const method of METHODS.filter((each) => item[each])) {
      const tag = (item[method].tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(operationBlock(path, method, item[method]));
    }
  }
  const main = document.getElementById("operations");
  for (const [tag, blocks] of groups) main.append(element("section", {}, element("h2", {}, tag), ...blocks));
  main.removeAttribute("aria-busy");
}

function filter(text) {
  for (const block of document.querySelectorAll("details.operation")) {
    block.hidden = !block.firstElementChild.textContent.toLowerCase().includes(text.toLowerCase());
  }
}

async function login(event) {
  event.preventDefault();
  const form = event.target;
  const output = form.querySelector("output");
  const response = await fetch("/oauth2/token", {
    method: "POST",
    headers: {
      Authorization: `Basic ${btoa(`${form.client_id.value}:${form.client_secret.value}`)}`,
      "Content-Type": "application/x-www-form-urlencoded",
    },
    body: "grant_type=client_credentials",
  });
  const answer = await response.json();
  token = answer.access_token || "";
  tenant = form.tenant.value;
  output.textContent = token ? `${answer.expires_in} s: ${answer.scope}` : answer.error_description;
}

fetch("/openapi.json").then((response) => response.json()).then((loaded) => {
  document_ = loaded;
  show();
});
document.getElementById("filter").addEventListener("input", (event) => filter(event.target.value));
document.getElementById("login").addEventListener("submit", login);
