package io.spd4j.kernel;

/** The passes over a run of blocks. */
enum Pass {
  UPDATE,
  PROJECT,
  GRAD_SQ
}
