import { formType, regionType } from "../linker.ts";
import type { FunctionType } from "../../wasm/types.ts";

/** The function types that a region's code names: the first of every module, so that bodies can move between modules. */
export const namedTypes: readonly FunctionType[] = [formType, regionType];
/** Their indices. */
export const formTypeIndex = 0;
export const regionTypeIndex = 1;
