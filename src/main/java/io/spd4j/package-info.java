/**
 * Fused AdamW, L2-SP and Selective Projection Decay steps over off-heap float32 arrays.
 *
 * <p>A {@link io.spd4j.Parameter} names the arrays of a tensor. A {@link io.spd4j.ParameterGroup}
 * gives parameters their hyperparameters and a {@link io.spd4j.DecayRule}. {@link io.spd4j.Adam}
 * steps the groups and reports what SPD decided. {@link io.spd4j.Diagnostics} tells which backends
 * work on this machine.
 */
package io.spd4j;
