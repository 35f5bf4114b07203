import { Ending } from "../ir/node.ts";
import type { Row } from "../x86/decode/opcode-map.ts";
import type { Form } from "../x86/semantics.ts";
import type { Code } from "../wasm/code.ts";
import type { HotForm, HotSurroundings, LocalPool } from "./hot-form.ts";
import { buildForm } from "./forms.ts";
import { FunctionLowering } from "./lower/function.ts";
import { surroundings } from "./linker.ts";
import type { Callees } from "./linker.ts";

/** A form to stand in the dispatcher itself: the same IR, its endings turned into branches. */
export function hotForm(row: Row, form: Form): HotForm {
  const body = buildForm(row, form);
  const relative = row.encoding.operands.some(({ kind }) => kind === "J");
  return {
    body,
    emit(code: Code, callees: Callees, around: HotSurroundings, pool: LocalPool) {
      pool.reset();
      new FunctionLowering(
        code,
        {
          ...surroundings(code, callees),
          vcpu: around.vcpu,
          record: around.record,
          local: (type) => pool.take(type),
          leave(ending) {
            if (ending === Ending.next) code.br(around.next);
            else if (ending === Ending.branch && relative) code.br(around.branch);
            else {
              code.i32(ending);
              code.set(around.status);
              code.br(around.ended);
            }
          },
          leaveWith(local) {
            code.get(local);
            code.set(around.status);
            code.br(around.ended);
          },
          returnValues() {
            throw new Error("an instruction returns no values");
          },
        },
        body,
      ).statements(body);
      code.br(around.next);
    },
  };
}
