/** Guests that ask what hypervisor they run on. */
import assert from "node:assert/strict";
import { Errno } from "../../src/abi/errno.ts";
import { XENFEAT } from "../../src/abi/features.ts";
import * as abi from "../../src/abi/version.ts";
import { HYPERVISOR } from "../../src/abi/xen.ts";
import { CAPABILITIES, CHANGESET, COMPILE_INFO, XEN_VERSION } from "../../src/hypervisor/version.ts";
import type { Guest } from "./guest.ts";
import { observes } from "./observes.ts";

const { XENVER } = abi;
const NUMBER = HYPERVISOR.xen_version;

/** A field of fixed size, with what lies behind it. */
function ask(guest: Guest, command: number, size: number): string {
  const at = guest.allocate(size + 16);
  guest.write(at, new Uint8Array(size + 16).fill(0x5a));
  assert.equal(guest.call(NUMBER, command, at), 0);
  assert.equal(guest.u8(at + size), 0x5a, "nothing is written behind the field");
  return guest.text(at, size);
}

/** Text of any size. */
function askVariable(guest: Guest, command: number): string {
  const length = guest.call(NUMBER, command, 0);
  const at = guest.allocate(4 + length + 16);
  guest.setU32(at, Math.max(length, 1));
  assert.equal(guest.call(NUMBER, command, at), length);
  const text = guest.text(at + 4, length);
  if (length > 0) {
    guest.setU32(at, length - 1);
    assert.equal(guest.call(NUMBER, command, at), length === 1 ? -Errno.EINVAL : -Errno.ENOBUFS);
  }
  guest.setU32(at, 0);
  assert.equal(guest.call(NUMBER, command, at), -Errno.EINVAL);
  guest.setU32(at, 0xffffffff);
  assert.equal(guest.call(NUMBER, command, at), length, "room for 4 GiB is room enough");
  return text;
}

observes("xen_version.version", "major and minor number are in the result", (guest) => {
  assert.equal(guest.call(NUMBER, XENVER.version, 0), (XEN_VERSION.major << 16) | XEN_VERSION.minor);
  assert.equal(guest.call(NUMBER, XENVER.version, -1), (XEN_VERSION.major << 16) | XEN_VERSION.minor);
});

observes("xen_version.extraversion", "the rest of the version ends with a zero byte", (guest) => {
  assert.equal(ask(guest, XENVER.extraversion, abi.XEN_EXTRAVERSION_LEN), XEN_VERSION.extra);
});

observes("xen_version.compile_info", "who built it", (guest) => {
  const at = guest.allocate(abi.xen_compile_info.sizeof);
  assert.equal(guest.call(NUMBER, XENVER.compile_info, at), 0);
  assert.equal(guest.text(at), COMPILE_INFO.compiler);
  assert.equal(guest.text(at + abi.xen_compile_info.offsets.compile_by), COMPILE_INFO.compile_by);
});

observes("xen_version.capabilities", "the kinds of guest, this one among them", (guest) => {
  const text = ask(guest, XENVER.capabilities, abi.XEN_CAPABILITIES_INFO_LEN);
  assert.equal(text, CAPABILITIES);
  assert.ok(text.includes(guest.bits === 32 ? "hvm-3.0-x86_32 " : "hvm-3.0-x86_64 "));
});

observes("xen_version.changeset", "a text of 64 bytes", (guest) => {
  assert.equal(ask(guest, XENVER.changeset, abi.XEN_CHANGESET_INFO_LEN), CHANGESET);
});

observes("xen_version.commandline", "that of the hypervisor is not for guests", (guest) => {
  assert.equal(ask(guest, XENVER.commandline, abi.XEN_COMMANDLINE_LEN), "");
});

observes("xen_version.platform_parameters", "a word of the guest's width: the hypervisor is nowhere", (guest) => {
  const at = guest.placeNumbers(8, [-1n, -1n]);
  assert.equal(guest.call(NUMBER, XENVER.platform_parameters, at), 0);
  assert.equal(guest.u64(at), guest.bits === 64 ? 0n : 0xffffffff00000000n);
  assert.equal(guest.u64(at + 8), 0xffffffffffffffffn);
});

observes("xen_version.get_features", "a PVH guest's features, in the first of the maps", (guest) => {
  const map = (submap_idx: number) => guest.op(NUMBER, XENVER.get_features, abi.xen_feature_info, { submap_idx });
  const { submap } = map(0).out;
  for (const feature of [XENFEAT.auto_translated_physmap, XENFEAT.hvm_callback_vector, XENFEAT.hvm_safe_pvclock]) {
    assert.equal((submap >>> feature) & 1, 1, `${feature}`);
  }
  assert.equal((submap >>> XENFEAT.dom0) & 1, 0);
  for (const index of [1, 2, 0xffffffff]) assert.equal(map(index).result, -Errno.EINVAL);
});

observes("xen_version.pagesize", "4096", (guest) => {
  assert.equal(guest.call(NUMBER, XENVER.pagesize, 0), 4096);
});

observes("xen_version.guest_handle", "the domain's UUID, and no byte more", (guest) => {
  const at = guest.placeNumbers(8, [0, 0, -1n]);
  assert.equal(guest.call(NUMBER, XENVER.guest_handle, at), 0);
  assert.deepEqual(
    [...guest.bytes(at, 16)],
    Array.from({ length: 16 }, (_, i) => 0xa0 + i),
  );
  assert.equal(guest.u64(at + 16), 0xffffffffffffffffn);
});

observes("xen_version.extraversion2", "as extraversion, of any length", (guest) => {
  assert.equal(askVariable(guest, XENVER.extraversion2), XEN_VERSION.extra);
});
observes("xen_version.capabilities2", "as capabilities, of any length", (guest) => {
  assert.equal(askVariable(guest, XENVER.capabilities2), CAPABILITIES);
});
observes("xen_version.changeset2", "as changeset, of any length", (guest) => {
  assert.equal(askVariable(guest, XENVER.changeset2), CHANGESET);
});
observes("xen_version.commandline2", "as commandline: nothing", (guest) => {
  assert.equal(askVariable(guest, XENVER.commandline2), "");
});
