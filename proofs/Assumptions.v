(* Assumptions: what every headline theorem rests on. run.sh demands "Closed under the global context" of each. *)
From Tattletale Require Import PagePool WavlTree WavlRank WavlOrder LongestPrefix.

Print Assumptions insert_elements.
Print Assumptions insert_ordered.
Print Assumptions insert_ranks.
Print Assumptions erase_elements.
Print Assumptions erase_ordered.
Print Assumptions erase_ranks.
Print Assumptions height_bound.
Print Assumptions find_spec.
Print Assumptions find_cost.
Print Assumptions neighbours_spec.
Print Assumptions neighbours_cost.
Print Assumptions best_match_is_longest.
Print Assumptions create_has_each_page_once.
