/** A piece of HTML. What is put into it is escaped, unless it is such a piece itself. */
export class Html {
  readonly #text: string;

  /** @internal Only `html` makes one: that is where escaping is done. */
  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

type Value = string | number | Html | readonly Html[];

/** `` html`<p>${name}</p>` ``: in text and in quoted attributes, whatever `name` is stays text. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  return new Html(String.raw({ raw: parts }, ...values.map(textOf)));
}

/** A whole document. */
export function page(title: string, body: Html): string {
  return String(html`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>body { font: 16px/1.5 system-ui; max-width: 48rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse } td, th { padding: .2rem .8rem .2rem 0; text-align: left }
form { display: inline } label { display: block } pre { background: #eee; padding: .6rem; overflow-x: auto }</style>
<h1>${title}</h1>
${body}
</html>
`);
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function textOf(value: Value): string {
  if (value instanceof Html) return String(value);
  if (Array.isArray(value)) return value.map(textOf).join('\n');
  return String(value).replace(/[&<>"']/g, (character) => ENTITIES[character] as string);
}
