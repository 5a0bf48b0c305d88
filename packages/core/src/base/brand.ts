declare const brand: unique symbol
/** A nominal type: made in one function that checks, impossible to mix up afterwards. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }
