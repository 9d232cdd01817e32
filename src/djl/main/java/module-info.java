/** spd4j's steps as an optimizer of the Deep Java Library. */
module io.spd4j.djl {
  requires transitive io.spd4j;
  requires transitive ai.djl.api;

  exports io.spd4j.djl;
}
