import { check } from "./check.ts";
import { engine, mmu } from "./engine.ts";
import { hypervisor } from "./hypervisor.ts";
import { images } from "./images.ts";
import { instructions } from "./instructions.ts";
import { translator } from "./translator.ts";
import { xenstore } from "./xenstore.ts";
import type { Mutation } from "../mutation.ts";

/** Every seeded bug. */
export const mutations: readonly Mutation[] = [
  ...instructions,
  ...mmu,
  ...engine,
  ...translator,
  ...check,
  ...xenstore,
  ...hypervisor,
  ...images,
];
