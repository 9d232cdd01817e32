/** {@link io.spd4j.djl.SpdOptimizer}, with which the Deep Java Library (DJL) trains. */
package io.spd4j.djl;
