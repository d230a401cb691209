(* Extract: the model as OCaml for the lockstep run. Numbers become OCaml's machine integers, which the run keeps far
   below their limit. *)
From Coq Require Import Arith Extraction ExtrOcamlBasic ExtrOcamlNatInt.
From Tattletale Require Import WavlTree LongestPrefix PagePool RadixTrie.

Extraction Language OCaml.
(* The same functions on machine integers, with types that let the compiler compare without a call. *)
Extract Inlined Constant PeanoNat.Nat.eqb => "Stdlib.Int.equal".
Extract Inlined Constant Init.Nat.eqb => "Stdlib.Int.equal".
Extract Inlined Constant PeanoNat.Nat.leb => "(fun (a : int) b -> a <= b)".
Extract Inlined Constant Init.Nat.leb => "(fun (a : int) b -> a <= b)".
Extract Inlined Constant PeanoNat.Nat.ltb => "(fun (a : int) b -> a < b)".
Extract Inlined Constant Init.Nat.ltb => "(fun (a : int) b -> a < b)".
Extract Inlined Constant PeanoNat.Nat.min => "(fun (a : int) b -> if a <= b then a else b)".
Extract Inlined Constant Init.Nat.min => "(fun (a : int) b -> if a <= b then a else b)".
Extract Inlined Constant PeanoNat.Nat.sub => "(fun a b -> if a <= b then 0 else a - b)".
Extract Inlined Constant Init.Nat.sub => "(fun a b -> if a <= b then 0 else a - b)".
Extract Constant PeanoNat.Nat.div => "fun a b -> if b = 0 then 0 else a / b".
Extract Constant Init.Nat.div => "fun a b -> if b = 0 then 0 else a / b".
Extract Constant PeanoNat.Nat.modulo => "fun a b -> if b = 0 then a else a mod b".
Extract Constant Init.Nat.modulo => "fun a b -> if b = 0 then a else a mod b".

Extraction "model.ml" WavlTree.insert WavlTree.erase WavlTree.find less_key initial step match_ extend pin unpin evict
  allocate_pages peek find_node num_evictable pages_of stop fresh.
