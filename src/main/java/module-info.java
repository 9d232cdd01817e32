/** Fused AdamW, L2-SP and Selective Projection Decay steps over off-heap memory. */
module io.spd4j {
  requires static jdk.incubator.vector;
  requires com.fasterxml.jackson.core;
  requires static jdk.jfr;

  exports io.spd4j;
  exports io.spd4j.cuda;
  exports io.spd4j.mpi;
  exports io.spd4j.onednn;
  exports io.spd4j.safetensors;
}
