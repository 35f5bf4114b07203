/** Compressed samples for the tests, with what they expand to: 1500 bytes of text, 1500 of code, 200 of noise. */

/** Text with repeats at many distances. */
export function sampleText(length: number): Uint8Array {
  const words = ["domain", "grant", "event", "channel", "page", "ring", "vcpu", "frame", "\n", " ", "xen"];
  let seed = 12345;
  let text = "";
  while (text.length < length) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    text += words[(seed >>> 16) % words.length]!;
  }
  return Uint8Array.from(text.slice(0, length), (character) => character.charCodeAt(0));
}

/** Bytes in which branch opcodes, sign bytes and their overlaps are frequent: what xz's x86 filter must undo. */
export function sampleCode(length: number): Uint8Array {
  const common = [0xe8, 0xe9, 0x00, 0xff, 0x90, 0xe8, 0x0f, 0x00];
  let seed = 99;
  return Uint8Array.from({ length }, (_, i) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const draw = seed >>> 24;
    return draw < 200 ? common[draw % common.length]! : i % 7 === 0 ? draw : 0x48;
  });
}

/** xz --check=crc64 -9 */
export const textXzCrc64 = Uint8Array.fromBase64(
  "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4AXbAY9dADsYymg4Tguvo8IcrsKiQmgdRu0L+SN4K8HCDISMxMzIVPzGnSTCJg2SQga7N9FasQyn" +
    "/4xb4KGa2anpHRLKXAzwrsjd7y5E9Q3QDE3JVqZk2BxuweCFEDqq+n4uC6ooEmchdL5a1lXK2xwOTmUrInWcIQxeB1XgYf+SpP44LmqlpOU9" +
    "4ftHsFNnzmbQlEk783E/btjYD4ijSsmeaNVt9sRFldV0fGeWaYbXXF/cLS3g3qnhhc68TR6bMU4iBbT90wnnBhz2YG7J3ONmdbxbZoXAcUaL" +
    "xsrnLkl1CIFizQqksqTt3m6md5oLFDUayEIKm9FqiYOS9gmISMDbfy1XV1f62p00koui59kRvZe0ukFPfP3pQFWYMHG65hcCDmTfYy4gYEuj" +
    "IwIu8KKDPE40Oh0EPvmDQAuDVmmByBNszCW1NpfyEC3HGmaijVPttEICFvadR3QfeM+KatL13R6qN4RvgaIM43YhMzoNLncM5SL4JG6oJyd7" +
    "fz8bali4xKhsTaQx/mTY2YrzXufZ5oo1ZgAAbQfmgoyblSUAAasD3AsAAOCm+ZexxGf7AgAAAAAEWVo=",
);

/** xz --check=crc32 --x86 --lzma2=preset=9,lc=2,lp=1,pb=1 */
export const codeXzX86 = Uint8Array.fromBase64(
  "/Td6WFoAAAFpIt42AgEEACEBHACHbtrl4AXbA684AAeAHO8F2cKekuo5mQh3H4fG5y325qmnDHRPRQMq1zy/GKfT0YNAN9OoZ/8ey8nU8vMi" +
    "Ndb54jHMhJmsSlMeAPFfhFXBZHCzQn2YUgUq5mSi+Spff9qkmg+0icOM3kgQV8uPpnKxNi3DIslD+L4JNb3aBSkakY8WyxjPWPk3fYRLM6k1" +
    "nXxYeSYE+Ae2pp1E/2upAViMZRZIsQjEybLFTrpb88ha16TfpBJWTCXz6FOTUWtRqXhIn0u/N9Ya79fbbSooBtt1rY3kJrkwwqV1LjoasODd" +
    "Jg3h8Kne5jMdwh3WAMPn4nv0XabcBzsa8IqwJ7NOAMtVjSKOhQRrK434LpPMc2o3iRW+qF2PFSxrwrsdhrQ8RgGccw3NH6QezZmgT16imDwq" +
    "ddizW746UQOpk4eDT6WqPxtJ5iJyv/zRKVdzBPpuyRdjvwhzdDcEnJ4bWDshS1FliZ6m5Uhx5L+kl1bwdHZ/twadsN+3iUdwyEuXySmEm7+T" +
    "Sdq8grpaj/8kY7Mmhc8+1W0xJRZGIkxcCuCv02vb17+024oc9um/yv1kWtVV3XGujgiXEnZiOr5ydeeApjEu8Nk/Stf6oIS/kCzWl0qD7YcZ" +
    "XRBtPBFVy/UfXxIf1mxLovVR8DyPtct7bgOcjXGXQNAdGt2l98vRdjPF+IsqiUKejh3u7RLvEauaSzkDm7IEqfJ3Wt5TYONbYUrpm1H6kd3u" +
    "fc2RJWm5ugsPDetRSDUv5p9Kzk9G6kOpsiShAV2GyvRDFjUb6cylN3ucFv/tsdDfCGK+zkBXJCbMgBouf4qxPAovj+quZIjkBPXNOPk1wTJR" +
    "r0jbUiwKCyVNsYb8CxpDeBaz3vu+U2LZZI5dHEpQ3N6x4A6kIbr//NqMKh1i7AarupbOI6c7uRrwqF/x/pOPoDlm9XSdpFBzNIGv5/UmSUFK" +
    "MqkVVl/CyUm5D34bg+kHf4RubSyBo6ZNXhNdMJ6ObtmtUQnqo3jB0t5tVt9L66lbJ0fr0gN3oxjBhyqx+eRBEup69tywuezZHK/dQvtgiGsj" +
    "TgXqQOz+rRmYpxKuT6s27LJa+xnuqynHpNu296K6en2o1En5GtEfT8tK6djTWxo9VUNx1mrmdw7zRvkP6wiP/d7c8W7gYeQiGon8cEeeNHDv" +
    "p4TzhGJ1roGMwXJ00pW0QVkOr0U46k10iVnqmp3b86pHhpVlJFkNKLo4Si8QxTTSNjq7xzMjoo3THAaV/3EmrkdVmTxGQYVh/C9ND9sCmto4" +
    "SvoAAMhwVhcAAccH3AsAAAHPTx0+MA2LAgAAAAABWVo=",
);

/** xz --check=none --block-size=600, then xz --check=sha256, then four zero bytes */
export const textTwiceXzStreams = Uint8Array.fromBase64(
  "/Td6WFoAAAD/EtlBAgAhARYAAAB0L+Wj4AJXAM9dADsYymg4Tguvo8IcrsKiQmgdRu0L+SN4K8HCDISMxMzIVPzGnSTCJg2SQga7N9FasQyn" +
    "/4xb4KGa2anpHRLKXAzwrsjd7y5E9Q3QDE3JVqZk2BxuweCFEDqq+n4uC6ooEmchdL5a1lXK2xwOTmUrInWcIQxeB1XgYf+SpP44LmqlpOU9" +
    "4ftHsFNnzmbQlEk783E/btjYD4ijSsmeaNVt9sRFldV0fGeWaYbXXF/cLS3g3qnhhc68TR6bMU4iBbT90wnnBhz2YG7J3OMGsfZAlwAAAgAh" +
    "ARYAAAB0L+Wj4AJXAMhdADkYSf39N0yUXmsTCbvikwtzLe8VCf61XIIQgP/WHSAiIlS2Q0hgsnOvCgsidsiTvPgNSFyKJA5nBeI74aTcpPVh" +
    "7IgTC2EFvvp9nN+bIm1MRsA5cyETOBcmeAUbKwhmb4RiVc4y4JvHqJ/ZAtVm7KNaaCGYIjd0uK3nGwmAk19dVR8hUnjsFeDJOffjD3+GpmYY" +
    "D8d0ZQ/sv1dvM5oy/LW2X8+hz73gwW1reAKvatpV3vGPO4yjKLItzRHws8wfmy+31NCEYVGqAAIAIQEWAAAAdC/lo+ABKwB+XQA4HUispXd4" +
    "rWYbJqMQp2UN/E+di1RppIatTCoWg9+20UO1a0MAg6SBNy3zxRHRHTDUMDKfFkYbJbfWt/7pi1aeUVoE556ER1cOLiFX9juxV6CFBiZF86jc" +
    "++CYypLXVfFzkdd8cCLdWyvqDk4xQY+qPqn4GCNNI0uIDDYao6AAAAAAA+MB2ATcAdgEkgGsAgAAPFPgo7XjUyoEAAAAAABZWv03elhaAAAK" +
    "4fsMoQIAIQEWAAAAdC/lo+AF2wGPXQA7GMpoOE4Lr6PCHK7CokJoHUbtC/kjeCvBwgyEjMTMyFT8xp0kwiYNkkIGuzfRWrEMp/+MW+Chmtmp" +
    "6R0SylwM8K7I3e8uRPUN0AxNyVamZNgcbsHghRA6qvp+LguqKBJnIXS+WtZVytscDk5lKyJ1nCEMXgdV4GH/kqT+OC5qpaTlPeH7R7BTZ85m" +
    "0JRJO/NxP27Y2A+Io0rJnmjVbfbERZXVdHxnlmmG11xf3C0t4N6p4YXOvE0emzFOIgW0/dMJ5wYc9mBuydzjZnW8W2aFwHFGi8bK5y5JdQiB" +
    "Ys0KpLKk7d5upneaCxQ1GshCCpvRaomDkvYJiEjA238tV1dX+tqdNJKLoufZEb2XtLpBT3z96UBVmDBxuuYXAg5k32MuIGBLoyMCLvCigzxO" +
    "NDodBD75g0ALg1ZpgcgTbMwltTaX8hAtxxpmoo1T7bRCAhb2nUd0H3jPimrS9d0eqjeEb4GiDON2ITM6DS53DOUi+CRuqCcne38/G2pYuMSo" +
    "bE2kMf5k2NmK817n2eaKNWYAAOmHuW/+g30U2P5Jvs4GM8kbh6H5cu0zSqc9jpEcQjWxAAHDA9wLAADXK15ztunfHAIAAAAACllaAAAAAA==",
);

/** xz --lzma2=preset=0 */
export const noiseXzStored = Uint8Array.fromBase64(
  "/Td6WFoAAATm1rRGAgAhAQwAAACPmEGc4ADHAKBdAAeAHv0O42fgYSfGTx9D+vIjWohPmwZ6oiE/5sV4NTNf3zF+ZOAVFlmBB4D8bfZLAnRA" +
    "RFEMFs9hpRpKLVstimJeikkJSgSKiFuHRU4Of0+TRYgjZ5QEGcLO1Bwn/Gt5+SOjZ2f8GHkwe9GXHAmqldr1CJIaZTFz0SjfuzluCGtmO8DA" +
    "n2RqLHxafagkNkcIUMABSuI4RxNNvPyjcLWcAAAAEkafX3dMXFcAAbwByAEAAL2CBiGxxGf7AgAAAAAEWVo=",
);

/** xz --format=lzma */
export const textLzmaEndMarker = Uint8Array.fromBase64(
  "XQAAgAD//////////wA7GMpoOE4Lr6PCHK7CokJoHUbtC/kjeCvBwgyEjMTMyFT8xp0kwiYNkkIGuzfRWrEMp/+MW+Chmtmp6R0SylwM8K7I" +
    "3e8uRPUN0AxNyVamZNgcbsHghRA6qvp+LguqKBJnIXS+WtZVytscDk5lKyJ1nCEMXgdV4GH/kqT+OC5qpaTlPeH7R7BTZ85m0JRJO/NxP27Y" +
    "2A+Io0rJnmjVbfbERZXVdHxnlmmG11xf3C0t4N6p4YXOvE0emzFOIgW0/dMJ5wYc9mBuydzjZnW8W2aFwHFGi8bK5y5JdQiBYs0KpLKk7d5u" +
    "pneaCxQ1GshCCpvRaomDkvYJiEjA238tV1dX+tqdNJKLoufZEb2XtLpBT3z96UBVmDBxuuYXAg5k32MuIGBLoyMCLvCigzxONDodBD75g0AL" +
    "g1ZpgcgTbMwltTaX8hAtxxpmoo1T7bRCAhb2nUd0H3jPimrS9d0eqjeEb4GiDON2ITM6DS53DOUi+CRuqCcne38/G2pYuMSobE2kMf5k2NmK" +
    "817n2evaK/P/9cowKw==",
);

/** a raw LZMA stream behind a header that gives its size */
export const textLzmaKnownSize = Uint8Array.fromBase64(
  "XQAAgADcBQAAAAAAAAA7GMpoOE4Lr6PCHK7CokJoHUbtC/kjeCvBwgyEjMTMyFT8xp0kwiYNkkIGuzfRWrEMp/+MW+Chmtmp6R0SylwM8K7I" +
    "3e8uRPUN0AxNyVamZNgcbsHghRA6qvp+LguqKBJnIXS+WtZVytscDk5lKyJ1nCEMXgdV4GH/kqT+OC5qpaTlPeH7R7BTZ85m0JRJO/NxP27Y" +
    "2A+Io0rJnmjVbfbERZXVdHxnlmmG11xf3C0t4N6p4YXOvE0emzFOIgW0/dMJ5wYc9mBuydzjZnW8W2aFwHFGi8bK5y5JdQiBYs0KpLKk7d5u" +
    "pneaCxQ1GshCCpvRaomDkvYJiEjA238tV1dX+tqdNJKLoufZEb2XtLpBT3z96UBVmDBxuuYXAg5k32MuIGBLoyMCLvCigzxONDodBD75g0AL" +
    "g1ZpgcgTbMwltTaX8hAtxxpmoo1T7bRCAhb2nUd0H3jPimrS9d0eqjeEb4GiDON2ITM6DS53DOUi+CRuqCcne38/G2pYuMSobE2kMf5k2NmK" +
    "817n2evaK/P/9cowKw==",
);

/** lz4 -l -9 */
export const textLz4 = Uint8Array.fromBase64(
  "AiFMGGECAABwdmNwdXhlbgcAx2RvbWFpbgpmcmFtZRcAAAQA8gFjaGFubmVscGFnZWdyYW50KwADFgAAIQAgCiAGAFBldmVudAkAMiAKICMA" +
    "FyAvAAEoAAEjABMKXwABawABBQAhICAZAEByaW5nZQAkICAeABAKDwACCgACTAAAEAADeQACVwAkeGWJAAQ0AAAjAAwcAAEZAAFBADV4ZW5U" +
    "AAYFAAYqAADlAAGNAAa2AAEPABcgCQEACwABTQABBQAHGQABJQAWCkQBAroAAUAAASsAAycAAQwAAgsBBYwAB3QABrcASCAKICDCAAAuAAAl" +
    "AQWBAAIVAQATAAw7AAKIAQIWAAT5AAIOAAAuAAzSAQAUAAWDAUZ4ZW4g0QERCiEAEwrWAAiOAAjeAQIkAQG9AQSIAQVZAANKAgI0AAfoAAV1" +
    "AA5bAAMMAAz8ABYK6wEHrwEELQEIYwEYCp0ABacBRAp4ZW5AAQKKAAFbAAP7AgAeAAh+AB0KbQIAPAAFtgABEgIAIwAF3QAOMwMQCi4ABH8B" +
    "ATYABp4CABsAAhQBC1sCB9sACi4ACOEACBsBBQ8CBgkCCzUABLkAAAQAAOcAAxkCBVkBFiA6AAVnAwbFAQLCAghZAATvAAQyAQFdAQkXBAjr" +
    "AhoKcgMBbQApIAqZAAf4AAEzAAIpAAcKAQT3AgqJAQvxAxYgIAIAxQIP/wICAjgDB5oDCq0CCcUABOcACKYAAjoABFQAAUoCBjgABusDCbAD" +
    "A2ECAnMCECCBAQQaAAAuAxgK4AAGIwAGOQAGhQQCBgAfIF0AAAUABJByaW5ndmNwdWY=",
);

/** lz4 -l */
export const noiseLz4 = Uint8Array.fromBase64(
  "AiFMGMQAAADwfQ8A/+jo6JAPSJAA6ADokOhISEgASP/o6ADp6ejoAJDp6OiQ+umQSOkP6P5ISP/oSEgA6OhISOjp+ADp/wDoANUA6QDpSAD/" +
    "SP8AAEgA9OhIAOlI6A9I6QD/kA/p6QD/Dw+QAEjoSOjoAA9IkP+QAA+QAJBI6OlI9gDoD+kAAAAA/+jokEgPSJAA6QD/RAChSJAP6P/o/w/o" +
    "SCgA0UgA15BI6JD/SOgA6ZAwAKCQSAAAD+gAkP/ooQCQSA8AAEiQSEhI",
);
