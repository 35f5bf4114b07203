/** Translations by what they were made of: a region whose code has been met before is not translated again. */

import type { Row } from "../../x86/decode/opcode-map.ts";
import { describeForm } from "../forms.ts";
import { RecordField, recordBytes } from "../record.ts";
import type { RegionJob } from "./job.ts";
import { decodeBody, encodeBody } from "./region-body.ts";
import type { RegionBody } from "./region-body.ts";

/** Where bodies outlast the process. What is found may be missing, but is never wrong. */
export interface SavedBodies {
  find(key: string): Uint8Array | undefined;
  /** @param recipe See recipe.ts; undefined where it is known already. */
  save(key: string, body: Uint8Array, recipe: Uint8Array | undefined): void;
}

/** Bytes of bodies that are kept in memory. */
const mostBytes = 8 << 20;

/** Finds the bodies of regions by their {@link jobContent | content}. */
export class BodyStore {
  readonly #rows: readonly Row[];
  readonly #digest: (content: Uint8Array) => string;
  readonly #saved: SavedBodies | undefined;
  readonly #recent = new Map<string, RegionBody>();
  readonly #branches = new Map<number, boolean>();
  #bytes = 0;

  /** @param digest Different contents, different strings: a cryptographic one, since guests make the contents. */
  constructor(rows: readonly Row[], digest: (content: Uint8Array) => string, saved?: SavedBodies) {
    this.#rows = rows;
    this.#digest = digest;
    this.#saved = saved;
  }

  key(job: RegionJob): string {
    return this.#digest(jobContent(job, (form) => this.#branch(form)));
  }
  #branch(form: number): boolean {
    let branch = this.#branches.get(form);
    if (branch === undefined) {
      branch = describeForm(this.#rows, form).row.branch;
      this.#branches.set(form, branch);
    }
    return branch;
  }

  find(key: string): RegionBody | undefined {
    const recent = this.#recent.get(key);
    if (recent !== undefined) return recent;
    const saved = this.#saved?.find(key);
    if (saved === undefined) return undefined;
    const body = decodeBody(saved);
    this.#remember(key, body);
    return body;
  }

  keep(key: string, body: RegionBody, recipe: Uint8Array | undefined): void {
    this.#remember(key, body);
    this.#saved?.save(key, encodeBody(body), recipe);
  }

  #remember(key: string, body: RegionBody): void {
    this.#recent.set(key, body);
    this.#bytes += body.bytes.length;
    for (const [oldest, { bytes }] of this.#recent) {
      if (this.#bytes <= mostBytes) break;
      this.#recent.delete(oldest);
      this.#bytes -= bytes.length;
    }
  }
}

/**
 * Everything that decides a region's body: mode, pages, forms, where blocks begin and where it is entered, and the records
 * but for what is this process's own: the handler, the form's slot, and where a branch led the interpreter.
 * @param branches Whether a form is a branch, whose record has no displacement.
 */
export function jobContent(job: RegionJob, branches: (form: number) => boolean): Uint8Array<ArrayBuffer> {
  const { mode, records, pages, forms, leaders, entries } = job;
  const numbers = Int32Array.of(mode, pages.length, leaders.length, entries.length);
  const parts = [numbers, forms, leaders, entries, pages, records].map(
    ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength),
  );
  const content = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let end = 0;
  for (const part of parts) {
    content.set(part, end);
    end += part.length;
  }
  forms.forEach((form, index) => {
    const record = end - records.length + index * recordBytes;
    content.fill(0, record + RecordField.handler, record + RecordField.start);
    if (branches(form)) content.fill(0, record + RecordField.displacement, record + RecordField.scale);
  });
  return content;
}
