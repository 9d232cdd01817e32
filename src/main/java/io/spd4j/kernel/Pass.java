package io.spd4j.kernel;

/** A pass over a run of blocks. */
enum Pass {
  UPDATE,
  PROJECT,
  GRAD_SQ
}
