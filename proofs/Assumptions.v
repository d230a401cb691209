(* Assumptions: what every headline theorem rests on. run.sh demands "Closed under the global context" of each, which
   says: nothing but the prover's own logic. *)
From Tattletale Require Import PagePool WavlTree WavlRank WavlOrder LongestPrefix TrieStructure TrieWalk TrieGrow Leases
  Eviction Extend Headlines.

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
Print Assumptions split_ok.
Print Assumptions try_merge_ok.
Print Assumptions new_leaf_ok.
Print Assumptions grow_ok.
Print Assumptions walk_finds.
Print Assumptions release_hold_ok.
Print Assumptions trim_leaf_ok.
Print Assumptions invariant_always_holds.
Print Assumptions map_is_a_function.
Print Assumptions map_is_complete.
Print Assumptions match_returns_the_longest_cached_prefix_and_its_pages.
Print Assumptions publish_changes_the_map_at_the_new_sequence_only.
Print Assumptions each_page_is_in_exactly_one_place.
Print Assumptions hold_counts_are_the_live_leases.
Print Assumptions release_takes_its_own_holds_only.
Print Assumptions no_lease_no_hold.
Print Assumptions evict_frees_only_what_no_hold_reaches.
Print Assumptions evict_counts_what_it_frees.
Print Assumptions evict_frees_enough.
Print Assumptions evict_takes_the_oldest_leaf_first.
Print Assumptions every_free_leaf_stands_in_the_order.
Print Assumptions match_cost.
Print Assumptions lookup_cost.
Print Assumptions lookup_is_child_at.
