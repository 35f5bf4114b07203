/** The page of stubs that a guest asks for by MSR: stub n makes hypercall n. xen/arch/x86/hvm/vmx/vmx.c. */

import { HYPERVISOR, XEN_PAGE_SIZE } from "../abi/xen.ts";

const STUB = 32;
const INT3 = 0xcc;

/** Fills a page with 128 stubs: `mov $n, %eax; vmcall; ret`, and `ud2` for iret, which only PV guests have. */
export function fillHypercallPage(page: Uint8Array): void {
  page.fill(INT3);
  for (let number = 0; number < XEN_PAGE_SIZE / STUB; number++) {
    const stub = number === HYPERVISOR.iret ? [0x0f, 0x0b] : [0xb8, number, 0, 0, 0, 0x0f, 0x01, 0xc1, 0xc3];
    page.set(stub, number * STUB);
  }
}
