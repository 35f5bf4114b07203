import { provided } from "./provided.ts";

/** How time reaches a processor is the engine's affair. */
export const clock = {
  /** timeStamp() → the platform's time stamp, before IA32_TIME_STAMP_COUNTER's offset: i64. */
  timeStamp: provided("clock.timeStamp", [], ["i64"]),
};
