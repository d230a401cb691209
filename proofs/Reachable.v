(* Reachable: every operation, and so every sequence of operations, keeps the invariant: the nodes are a trie, the hold
   counters equal the live leases, copy sources and pins, and each page is in exactly one of free, trie, one lease. *)
From Coq Require Import Arith List Bool Lia.
From Tattletale Require Import PagePool LongestPrefix RadixTrie TrieNodes TrieStructure TrieWalk TrieGrow Invariant Leases
  Eviction Publish.
Import ListNotations.

Definition holds_of (l : lease) : list path := l_node l :: match l_copy l with Some s => [s] | None => [] end.
Definition held_of (ls : list (nat * lease)) : list path := flat_map (fun x => holds_of (snd x)) ls.
Definition private_of (ls : list (nat * lease)) : list page := flat_map (fun x => l_private (snd x)) ls.
Definition names (ls : list (nat * lease)) : list nat := map fst ls.
Definition others (id : nat) (ls : list (nat * lease)) : list (nat * lease) := filter (fun x => negb (fst x =? id)) ls.

(* ---- the table of leases *)
Lemma copies_flat s (x : nat * lease) ls : copies s (held_of (x :: ls)) = copies s (holds_of (snd x)) + copies s (held_of ls).
Proof. unfold held_of. cbn [flat_map]. apply copies_app. Qed.
Lemma private_flat p (x : nat * lease) ls : count p (private_of (x :: ls)) = count p (l_private (snd x)) + count p (private_of ls).
Proof. unfold private_of. cbn [flat_map]. apply count_app. Qed.

Definition find_in (id : nat) (ls : list (nat * lease)) : option lease := option_map snd (find (fun l => fst l =? id) ls).
Lemma find_lease_in id st : find_lease id st = find_in id (leases st).
Proof. reflexivity. Qed.
Lemma find_in_cons id x ls : find_in id (x :: ls) = if fst x =? id then Some (snd x) else find_in id ls.
Proof. unfold find_in. cbn. destruct (fst x =? id); reflexivity. Qed.
Lemma others_none id ls : ~ In id (names ls) -> others id ls = ls.
Proof.
  intros N. apply filter_all. intros x Hx. apply negb_true_iff, Nat.eqb_neq. intros E. apply N. unfold names.
  apply in_map_iff. eauto.
Qed.
Lemma find_in_none id ls : find_in id ls = None -> ~ In id (names ls).
Proof.
  induction ls as [|x ls IH]; [intros _ []|]. rewrite find_in_cons. destruct (Nat.eqb_spec (fst x) id); [discriminate|].
  intros H [E|I]; [auto|]. apply IH; auto.
Qed.
Lemma table_split id ls l : NoDup (names ls) -> find_in id ls = Some l ->
  (forall s, copies s (held_of ls) = copies s (holds_of l) + copies s (held_of (others id ls))) /\
  (forall p, count p (private_of ls) = count p (l_private l) + count p (private_of (others id ls))).
Proof.
  induction ls as [|x ls IH]; [discriminate|]. intros D F. inversion D as [|? ? N D']; subst. rewrite find_in_cons in F.
  unfold others. cbn [filter]. destruct (Nat.eqb_spec (fst x) id) as [E|E]; cbn [negb].
  - injection F as <-. change (filter (fun y => negb (fst y =? id)) ls) with (others id ls).
    subst id. rewrite others_none by exact N. split; intros; [apply copies_flat|apply private_flat].
  - destruct (IH D' F) as (H1 & H2). split; intros.
    + rewrite !copies_flat, H1. unfold others. lia.
    + rewrite !private_flat, H2. unfold others. lia.
Qed.
Definition set_in (id : nat) (l : lease) (ls : list (nat * lease)) := map (fun x => if fst x =? id then (id, l) else x) ls.
Lemma set_in_names id l ls : names (set_in id l ls) = names ls.
Proof.
  unfold names, set_in. rewrite map_map. apply map_ext. intros x. destruct (Nat.eqb_spec (fst x) id); auto.
Qed.
Lemma set_in_others id l ls : others id (set_in id l ls) = others id ls.
Proof.
  unfold others, set_in. induction ls as [|x ls IH]; cbn; auto. destruct (Nat.eqb_spec (fst x) id) as [E|E]; cbn.
  - rewrite Nat.eqb_refl. cbn. exact IH.
  - destruct (Nat.eqb_spec (fst x) id); [congruence|]. cbn. f_equal. exact IH.
Qed.
Lemma set_in_find id l l' ls : find_in id ls = Some l -> find_in id (set_in id l' ls) = Some l'.
Proof.
  induction ls as [|x ls IH]; [discriminate|]. unfold set_in. cbn [map]. rewrite !find_in_cons.
  destruct (Nat.eqb_spec (fst x) id) as [E|E].
  - cbn. rewrite Nat.eqb_refl. reflexivity.
  - destruct (Nat.eqb_spec (fst x) id); [congruence|]. exact IH.
Qed.
Lemma names_others id ls : NoDup (names ls) -> NoDup (names (others id ls)).
Proof.
  unfold names, others. induction ls as [|x ls IH]; cbn; auto. intros D. inversion D as [|? ? N D']; subst.
  destruct (negb (fst x =? id)); auto. cbn. constructor; auto. intros I. apply N. apply in_map_iff in I.
  destruct I as (y & E & Hy). apply filter_In in Hy. apply in_map_iff. exists y. tauto.
Qed.

Section Reachable.
Variable P : nat.
Hypothesis P_positive : 0 < P.

Section Pool.
Variable num_pages : nat.

(* The invariant of a state. *)
Record inv (st : state) : Prop := {
  v_nodes : node_inv P (nodes st) (held_of (leases st)) [] [];
  v_names : NoDup (names (leases st));
  v_pages : forall p, count p (free st) + pages_count p (nodes st) + count p (private_of (leases st)) =
                      if p <? num_pages then 1 else 0
}.

(* The same with one lease's share apart: its holds, and so many private pages. *)
Record focus (id : nat) (l : lease) (held : list path) (own : page -> nat) (xb xo : path) (st : state) : Prop := {
  c_nodes : node_inv P (nodes st) (held ++ held_of (others id (leases st))) xb xo;
  c_names : NoDup (names (leases st));
  c_find : find_in id (leases st) = Some l;
  c_pages : forall p, count p (free st) + pages_count p (nodes st) + own p + count p (private_of (others id (leases st))) =
                      if p <? num_pages then 1 else 0
}.
Definition own_pages (l : lease) (p : page) : nat := count p (l_private l).

Lemma inv_focus id l st : inv st -> find_in id (leases st) = Some l -> focus id l (holds_of l) (own_pages l) [] [] st.
Proof.
  intros [V N G] F. destruct (table_split id (leases st) l N F) as (H1 & H2). constructor; auto.
  - eapply (node_inv_held P P_positive); [|exact V]. intros s _. rewrite copies_app. apply H1.
  - intros p. specialize (G p). rewrite H2 in G. unfold own_pages. lia.
Qed.
Lemma focus_inv id l st : focus id l (holds_of l) (own_pages l) [] [] st -> inv st.
Proof.
  intros [V N F G]. destruct (table_split id (leases st) l N F) as (H1 & H2). constructor; auto.
  - eapply (node_inv_held P P_positive); [|exact V]. intros s _. rewrite copies_app. symmetry. apply H1.
  - intros p. specialize (G p). rewrite H2. unfold own_pages in G. lia.
Qed.
Lemma focus_set id l l' held own xb xo st : focus id l held own xb xo st -> focus id l' held own xb xo (set_lease id l' st).
Proof.
  intros [V N F G]. constructor; cbn [leases nodes free set_lease with_leases];
    change (map (fun x => if fst x =? id then (id, l') else x) (leases st)) with (set_in id l' (leases st)).
  - rewrite set_in_others. exact V.
  - rewrite set_in_names. exact N.
  - eapply set_in_find. exact F.
  - intros p. rewrite set_in_others. apply G.
Qed.
Lemma focus_held id l held held' own xb xo st : (forall s, s <> [] -> copies s held = copies s held') ->
  focus id l held own xb xo st -> focus id l held' own xb xo st.
Proof.
  intros E [V N F G]. constructor; auto. eapply (node_inv_held P P_positive); [|exact V]. intros s Ns. rewrite !copies_app, E; auto.
Qed.
Lemma focus_keeps id l s held own st st' : focus id l (s :: held) own [] [] st ->
  node_inv P (nodes st') (held ++ held_of (others id (leases st))) [] [] -> keeps P st st' -> focus id l held own [] [] st'.
Proof.
  intros [V N F G] V' K. pose proof (k_leases P _ _ K) as E. constructor; rewrite ?E; auto.
  intros p. pose proof (k_pages P _ _ K p). specialize (G p). lia.
Qed.
Lemma focus_release id l s held own st : focus id l (s :: held) own [] [] st -> focus id l held own [] [] (release_hold P s st).
Proof.
  intros C. pose proof (c_nodes _ _ _ _ _ _ _ C) as V. cbn in V.
  destruct (release_hold_ok P P_positive s st _ V) as (V' & K). eapply focus_keeps; eauto.
Qed.
Lemma focus_unhold id l s held own st : focus id l (s :: held) own [] [] st -> focus id l held own [] [] (unhold P s st).
Proof.
  intros C. pose proof (c_nodes _ _ _ _ _ _ _ C) as V. cbn in V.
  destruct (unhold_ok P P_positive s st _ V) as (V' & K). eapply focus_keeps; eauto.
Qed.
Lemma focus_touch id l s held own xb xo st : focus id l held own xb xo st -> focus id l held own xb xo (touch_path s st).
Proof.
  intros [V N F G]. destruct (touch_ok P s st _ _ _ V) as (V' & K). pose proof (k_leases P _ _ K) as E.
  constructor; rewrite ?E; auto. intros p. pose proof (k_pages P _ _ K p). specialize (G p). lia.
Qed.
Lemma focus_tick id l held own xb xo st : focus id l held own xb xo st -> focus id l held own xb xo (tick st).
Proof. intros [V N F G]. constructor; auto. Qed.

(* ---- drop_copy_source, release *)
Theorem drop_copy_source_inv id st : inv st -> inv (drop_copy_source P id st).
Proof.
  intros V. unfold drop_copy_source. rewrite find_lease_in. destruct (find_in id (leases st)) as [l|] eqn:F; auto.
  destruct (l_copy l) as [s|] eqn:C; auto. set (l' := mk_lease (l_node l) None (l_private l)).
  apply (focus_inv id l'). pose proof (inv_focus id l st V F) as X.
  apply (focus_release id l' s (holds_of l') (own_pages l')). apply focus_tick. apply (focus_set id l l').
  eapply focus_held; [|exact X]. intros q _. unfold holds_of. rewrite C. cbn. lia.
Qed.
Lemma release_hold_leases s st : leases (release_hold P s st) = leases st.
Proof.
  unfold release_hold, unhold, drop_redundant_tail.
  repeat match goal with |- context [match ?x with _ => _ end] => destruct x end; reflexivity.
Qed.
Lemma drop_copy_find id st l : find_in id (leases st) = Some l ->
  exists l', find_in id (leases (drop_copy_source P id st)) = Some l' /\ l_node l' = l_node l /\ l_private l' = l_private l /\ l_copy l' = None.
Proof.
  intros F. unfold drop_copy_source. rewrite find_lease_in, F. destruct (l_copy l) as [s|] eqn:C; [|exists l; auto].
  rewrite release_hold_leases. cbn [leases tick set_lease with_leases]. eexists. split; [eapply set_in_find; exact F|]. auto.
Qed.

Lemma running_release s held own st : node_inv P (nodes st) (s :: held) [] [] ->
  (forall p, count p (free st) + pages_count p (nodes st) = own p) ->
  node_inv P (nodes (release_hold P s st)) held [] [] /\ leases (release_hold P s st) = leases st /\
  (forall p, count p (free (release_hold P s st)) + pages_count p (nodes (release_hold P s st)) = own p).
Proof.
  intros V G. destruct (release_hold_ok P P_positive s st held V) as (V' & K). split; auto.
  split; [apply (k_leases P _ _ K)|]. intros p. rewrite (k_pages P _ _ K). auto.
Qed.

Theorem release_inv id st : inv st -> inv (release P id st).
Proof.
  intros V. unfold release. rewrite find_lease_in. destruct (find_in id (leases st)) as [l|] eqn:F; auto.
  destruct (inv_focus id l st V F) as [V1 N1 _ G1]. set (st1 := forget_lease id (tick st)).
  set (own1 := fun p => (if p <? num_pages then 1 else 0) - count p (l_private l) - count p (private_of (others id (leases st)))).
  assert (B1 : forall p, count p (free st1) + pages_count p (nodes st1) = own1 p).
  { intros p. specialize (G1 p). unfold own_pages in G1. unfold own1. cbn [free nodes st1 forget_lease with_leases tick]. lia. }
  set (st2 := match l_copy l with Some s => release_hold P s st1 | None => st1 end).
  assert (X : node_inv P (nodes st2) (l_node l :: held_of (others id (leases st))) [] [] /\ leases st2 = others id (leases st) /\
              forall p, count p (free st2) + pages_count p (nodes st2) = own1 p).
  { unfold st2, holds_of in *. destruct (l_copy l) as [s|].
    - apply running_release; auto. eapply (node_inv_held P P_positive); [|exact V1]. intros q _. cbn. lia.
    - split; [exact V1|auto]. }
  destruct X as (V2 & L2 & B2). set (st3 := with_free st2 (give_back_all (l_private l) (free st2))).
  destruct (running_release (l_node l) (held_of (others id (leases st))) (fun p => own1 p + count p (l_private l)) st3) as (V4 & L4 & B4).
  - exact V2.
  - intros p. cbn [free nodes st3 with_free]. rewrite count_give_back_all. specialize (B2 p). lia.
  - fold st1. fold st2. fold st3. change (leases st3) with (leases st2) in L4. constructor; rewrite L4, L2; auto.
    + apply names_others; auto.
    + intros p. rewrite B4. unfold own1. specialize (G1 p). unfold own_pages in G1. lia.
Qed.

(* ---- fork *)
Lemma fresh_name id st : fresh id st = true -> ~ In id (names (leases st)).
Proof.
  unfold fresh, names. rewrite forallb_forall. intros H I. apply in_map_iff in I. destruct I as (x & E & Hx).
  specialize (H x Hx). apply negb_true_iff, Nat.eqb_neq in H. auto.
Qed.
Theorem fork_inv from id st : inv st -> fresh id st = true -> inv (fork from id st).
Proof.
  intros V Fr. unfold fork. rewrite find_lease_in. destruct (find_in from (leases st)) as [l|] eqn:F; auto.
  destruct (inv_focus from l st V F) as [V1 _ _ _]. destruct V as [V N G].
  constructor; cbn [nodes free leases with_leases with_nodes].
  - unfold held_of. cbn [flat_map holds_of l_node l_copy snd app]. apply (hold_inv P P_positive _ _ _ [] []); auto.
    + apply (i_held _ _ _ _ _ V1). left. reflexivity.
    + intros n Hn En. apply (i_solid _ _ _ _ _ V n Hn). rewrite (i_holds _ _ _ _ _ V1 n Hn). rewrite En. unfold holds_of.
      cbn [copies app]. rewrite same_path_refl. lia.
  - cbn. constructor; auto. apply fresh_name; auto.
  - intros p. rewrite private_flat. cbn [snd l_private count]. specialize (G p).
    destruct (meta_ok P _ (nodes st) (hold_meta (l_node l)) (i_wf _ _ _ _ _ V)) as (_ & Sm).
    pose proof (same_pages P _ _ Sm p) as E. unfold hold, update. rewrite E. lia.
Qed.

(* ---- evict, allocate_pages *)
Theorem evict_inv num st : inv st -> inv (snd (evict P num st)).
Proof.
  intros [V N G]. unfold evict. pose proof (evict_loop_ok P P_positive (2 * length (nodes st) + 1) num 0 st _ V (Nat.le_0_l _)) as X.
  destruct (evict_loop P (2 * length (nodes st) + 1) num 0 st) as [freed st']. destruct X as (V' & E & _).
  pose proof (e_leases P _ _ _ E) as L. constructor; cbn [snd]; rewrite ?L; auto.
  intros p. pose proof (e_pages P _ _ _ E p). specialize (G p). lia.
Qed.
Theorem allocate_pages_inv id num st : inv st -> inv (snd (allocate_pages P id num st)).
Proof.
  intros V. unfold allocate_pages. rewrite find_lease_in. destruct (find_in id (leases st)) as [l|] eqn:F; auto.
  destruct (num_evictable (nodes st) <? num - length (free st)); auto.
  set (st1 := if num - length (free st) =? 0 then st else snd (evict P (num - length (free st)) st)).
  assert (V1 : inv st1) by (unfold st1; destruct (num - length (free st) =? 0); auto using evict_inv).
  assert (F1 : find_in id (leases st1) = Some l).
  { unfold st1. destruct (num - length (free st) =? 0); auto. unfold evict.
    pose proof (evict_loop_ok P P_positive (2 * length (nodes st) + 1) (num - length (free st)) 0 st _ (v_nodes st V) (Nat.le_0_l _)) as X.
    destruct (evict_loop P (2 * length (nodes st) + 1) (num - length (free st)) 0 st) as [freed st'].
    destruct X as (_ & E & _). cbn [snd]. rewrite (e_leases P _ _ _ E). exact F. }
  clearbody st1. unfold take. cbn [snd]. set (l' := mk_lease (l_node l) (l_copy l) (l_private l ++ firstn num (free st1))).
  apply (focus_inv id l'). pose proof (focus_set id l l' _ _ _ _ st1 (inv_focus id l st1 V1 F1)) as [V2 N2 F2 G2].
  constructor; auto. intros p. specialize (G2 p). unfold own_pages in *. cbn [l_private l' free with_free set_lease with_leases nodes leases] in *.
  rewrite count_app. pose proof (count_split p num (free st1)). lia.
Qed.

(* ---- match_, pin *)
Lemma end_node_at_ok bottom depth ns held s ns' : node_inv P ns held [] [] -> depth mod P = 0 ->
  end_node_at P bottom depth ns = (s, ns') ->
  node_inv P ns' held [] [] /\ same_map P ns ns' /\ a_node s ns' /\
  (forall n, In n ns' -> n_path n = s -> stop n mod P = 0 \/ tail n <> None).
Proof.
  intros V M E. unfold end_node_at in E. pose proof (i_wf _ _ _ _ _ V) as W.
  assert (Root : forall ns0, node_inv P ns0 held [] [] -> forall n, In n ns0 -> n_path n = [] -> stop n mod P = 0 \/ tail n <> None).
  { intros ns0 V0 n Hn En. exfalso. apply (path_not_nil P P_positive ns0 n (i_wf _ _ _ _ _ V0) Hn En). }
  destruct (find _ ns) as [n|] eqn:F.
  - apply find_some in F. destruct F as (Hn & B). rewrite !andb_true_iff, Nat.ltb_lt, Nat.leb_le, is_prefix_spec in B.
    destruct B as ((B1 & B2) & B3). destruct (Nat.eqb_spec (stop n) depth) as [Q|Q]; injection E as <- <-.
    + split; auto. split; [apply same_map_refl|]. split; [right; apply in_paths; eauto|].
      intros m Hm Em. left. unfold stop. rewrite Em. fold (stop n). congruence.
    + assert (L : start n < depth < stop n) by lia.
      split; [apply (split_inv P P_positive n depth ns held [] []); auto|].
      split; [apply split_ok; auto|]. split; [right; left; reflexivity|].
      intros m Hm Em. left. unfold stop. rewrite Em, firstn_length. unfold stop in *.
      replace (Nat.min depth (length (n_path n))) with depth by lia. exact M.
  - injection E as <- <-. split; auto. split; [apply same_map_refl|]. split; [left; reflexivity|]. apply Root; auto.
Qed.

Lemma with_page_in fuel n hint ns : In n ns -> In (with_page fuel n hint ns) ns.
Proof.
  revert n. induction fuel as [|fuel IH]; intros n Hn; cbn; auto. destruct (is_pageless n); auto.
  destruct (any_child (n_path n) hint ns) as [c|] eqn:C; auto. apply IH. unfold any_child in C.
  destruct (find _ (children (n_path n) ns)) as [d|] eqn:F.
  - injection C as <-. apply find_some in F. destruct F as (F & _). apply in_children in F. tauto.
  - destruct (children (n_path n) ns) as [|d ds] eqn:D; [discriminate|]. injection C as <-.
    assert (I : In d (children (n_path n) ns)) by (rewrite D; left; auto). apply in_children in I. tauto.
Qed.
Lemma any_child_in s hint ns c : any_child s hint ns = Some c -> In c ns.
Proof.
  unfold any_child. destruct (find _ (children s ns)) as [d|] eqn:F.
  - intros [= <-]. apply find_some in F. destruct F as (F & _). apply in_children in F. tauto.
  - destruct (children s ns) as [|d ds] eqn:D; [discriminate|]. intros [= <-].
    assert (I : In d (children s ns)) by (rewrite D; left; auto). apply in_children in I. tauto.
Qed.
Lemma find_copy_source_ok w full hint ns held r ns' : node_inv P ns held [] [] -> full mod P = 0 ->
  find_copy_source P w full hint ns = (r, ns') ->
  node_inv P ns' held [] [] /\ same_map P ns ns' /\
  match r with
  | Some (s, p) => a_node s ns' /\ (forall n, In n ns' -> n_path n = s -> stop n mod P = 0 \/ tail n <> None)
  | None => True
  end.
Proof.
  intros V M E. unfold find_copy_source in E. pose proof (i_wf _ _ _ _ _ V) as W.
  destruct (match w_child w with Some c => find_node c ns | None => match find_node (w_node w) ns with
            | Some n => if has_tail n then Some n else any_child (w_node w) hint ns | None => any_child (w_node w) hint ns end end) as [n|] eqn:F;
    [|injection E as <- <-; auto using same_map_refl].
  assert (Hn : In n ns).
  { destruct (w_child w) as [c|]; [apply find_node_some in F; tauto|]. destruct (find_node (w_node w) ns) as [m|] eqn:Fm.
    - destruct (has_tail m); [injection F as <-; apply find_node_some in Fm; tauto|eapply any_child_in; eauto].
    - eapply any_child_in; eauto. }
  pose proof (with_page_in (length ns) n hint ns Hn) as Ho. set (o := with_page (length ns) n hint ns) in *.
  destruct (hd_error (pages_of o)) as [p|] eqn:Hd; [|injection E as <- <-; auto using same_map_refl].
  destruct (Nat.leb_spec full (start o)) as [G1|G1]; [|injection E as <- <-; auto using same_map_refl].
  destruct (Nat.ltb_spec (start o) (full + P)) as [G2|G2]; [|injection E as <- <-; auto using same_map_refl].
  cbn [negb andb] in E.
  assert (Mb : (full + P) mod P = 0).
  { replace (full + P) with (full + 1 * P) by lia. rewrite Nat.mod_add by lia. exact M. }
  destruct (Nat.ltb_spec (full + P) (stop o)) as [L|L]; injection E as <- <-.
  - assert (L' : start o < full + P < stop o) by lia. split; [apply (split_inv P P_positive o (full + P) ns held [] []); auto|].
    split; [apply split_ok; auto|]. split; [right; left; reflexivity|].
    intros m Hm Em. left. unfold stop. rewrite Em, firstn_length. unfold stop in *.
    replace (Nat.min (full + P) (length (n_path o))) with (full + P) by lia. exact Mb.
  - split; auto. split; [apply same_map_refl|]. split; [right; apply in_paths; eauto|].
    intros m Hm Em. assert (m = o) by (apply (same_node P ns); auto). subst m.
    destruct (tail o) as [t|] eqn:T; [right; discriminate|left].
    pose proof (wf_shape P ns W o Ho) as (S1 & S2 & _). unfold pages_of, tail_pages in Hd. rewrite T, app_nil_r in Hd.
    assert (0 < length (pages o)) by (destruct (pages o); [discriminate|cbn; lia]).
    assert (D : full / P + 1 <= stop o / P) by (pose proof (div_le P P_positive full (start o) G1); lia).
    assert (stop o = full + P); [|congruence]. pose proof (Nat.div_mod full P). pose proof (Nat.mul_div_le (stop o) P). nia.
Qed.

Theorem match_inv id r tokens hint st : inv st -> fresh id st = true -> inv (fst (match_ P id r tokens hint st)).
Proof.
  intros [V N G] Fr. unfold match_. set (w := walk_from P [] _ (nodes st)).
  destruct (end_node_at P (bottom_of w) (floor P (w_depth w)) (nodes st)) as [last ns1] eqn:E1.
  destruct (end_node_at_ok _ _ _ _ _ _ V (floor_mod P P_positive _) E1) as (V1 & S1 & A1 & Sol1).
  assert (V2 : node_inv P (hold last ns1) (last :: held_of (leases st)) [] []) by (apply (hold_inv P P_positive _ _ _ [] []); auto).
  destruct (meta_ok P _ ns1 (hold_meta last) (i_wf _ _ _ _ _ V1)) as (_ & S2).
  destruct (if w_depth w =? floor P (w_depth w) then (None, hold last ns1)
            else find_copy_source P w (floor P (w_depth w)) hint (hold last ns1)) as [copy ns3] eqn:E3.
  assert (X : node_inv P ns3 (last :: held_of (leases st)) [] [] /\ same_map P (hold last ns1) ns3 /\
    match copy with Some (s, p) => a_node s ns3 /\ (forall n, In n ns3 -> n_path n = s -> stop n mod P = 0 \/ tail n <> None) | None => True end).
  { destruct (w_depth w =? floor P (w_depth w)).
    - injection E3 as <- <-. auto using same_map_refl.
    - eapply find_copy_source_ok; eauto. apply floor_mod; auto. }
  destruct X as (V3 & S3 & C3).
  assert (S13 : same_map P (nodes st) ns3) by (eapply same_map_trans; [exact S1|]; eapply same_map_trans; [exact S2|exact S3]).
  set (ns4 := match copy with Some (s, _) => hold s ns3 | None => ns3 end).
  assert (X : node_inv P ns4 (match copy with Some (s, _) => [s] | None => [] end ++ last :: held_of (leases st)) [] [] /\ same_map P (nodes st) ns4).
  { unfold ns4. destruct copy as [[s p]|]; [|auto]. destruct C3 as (A & Sol). split.
    - apply (hold_inv P P_positive _ _ _ [] []); auto.
    - eapply same_map_trans; [exact S13|]. apply meta_ok; [apply hold_meta|]. apply (i_wf _ _ _ _ _ V3). }
  destruct X as (V4 & S4). cbn [fst].
  destruct (touch_ok P (match copy with Some (s, _) => s | None => last end) (tick (with_nodes st ns4)) _ _ _ V4) as (V5 & K5).
  constructor; cbn [nodes free leases with_leases].
  - unfold held_of. cbn [flat_map snd]. eapply (node_inv_held P P_positive); [|exact V5].
    intros s _. unfold held_of.
    replace (holds_of (mk_lease last (option_map fst copy) [])) with
      (last :: match copy with Some (s, _) => [s] | None => [] end) by (destruct copy as [[? ?]|]; reflexivity).
    clear. destruct copy as [[? ?]|]; cbn [app copies leases touch_path tick with_nodes]; lia.
  - cbn. constructor; auto. apply fresh_name; auto.
  - intros p. rewrite private_flat. cbn [snd l_private count]. pose proof (k_pages P _ _ K5 p) as K.
    change (leases (touch_path (match copy with Some (s, _) => s | None => last end) (tick (with_nodes st ns4)))) with (leases st).
    cbn [nodes free tick with_nodes] in K. rewrite (same_pages P _ _ S4) in K. specialize (G p). lia.
Qed.

Theorem pin_inv tokens st : inv st -> inv (snd (pin P tokens st)).
Proof.
  intros [V N G]. unfold pin. set (w := walk_from P [] tokens (nodes st)).
  destruct (end_node_at P (bottom_of w) (floor P (w_depth w)) (nodes st)) as [s ns1] eqn:E1.
  destruct (end_node_at_ok _ _ _ _ _ _ V (floor_mod P P_positive _) E1) as (V1 & S1 & A1 & Sol1).
  assert (I1 : inv (with_nodes st ns1)).
  { constructor; auto. intros p. cbn [nodes free leases with_nodes]. rewrite (same_pages P _ _ S1). auto. }
  destruct (find_node s ns1) as [n|] eqn:F; [|exact I1]. destruct (pinned n) eqn:Pin; [exact I1|].
  apply find_node_some in F. destruct F as (Hn & En). cbn [snd].
  pose proof (hold_inv P P_positive s ns1 _ [] [] [] V1 A1 (or_introl eq_refl) Sol1) as V2.
  assert (W1 : well_formed P ns1) by apply (i_wf _ _ _ _ _ V1).
  assert (W2 : well_formed P (hold s ns1)) by apply (i_wf _ _ _ _ _ V2).
  assert (Mp : meta_only (fun m => if same_path (n_path m) s then set_pinned true m else m)) by apply (meta_update s), meta_pinned.
  constructor; auto.
  - cbn [nodes with_nodes leases]. apply (meta_inv P _ _ (s :: held_of (leases st)) _ [] [] []); auto.
    + intros m Hm O. apply (i_leaf _ _ _ _ _ V2 m Hm). destruct (same_path (n_path m) s); auto.
    + intros m Hm N' L Z. destruct (same_path (n_path m) s) eqn:Q; apply (i_order _ _ _ _ _ V2 m Hm); auto.
    + intros m Hm. pose proof (i_holds _ _ _ _ _ V2 m Hm) as H. cbn [copies] in H.
      destruct (same_path (n_path m) s) eqn:Q; [|exact H]. cbn [holds pinned set_pinned].
      apply in_map_iff in Hm. destruct Hm as (x & Ex & Hx). subst m. destruct (hold_meta s x) as (Ep & _).
      rewrite Ep in Q. rewrite Q in H |- *. apply same_path_spec in Q.
      assert (x = n) by (apply (same_node P ns1); auto; congruence). subst x.
      cbn [holds pinned set_holds n_path] in H |- *. rewrite Pin in H. lia.
    + intros q I. apply (i_held _ _ _ _ _ V2). right. auto.
    + intros m Hm Z. apply (i_solid _ _ _ _ _ V2 m Hm). destruct (same_path (n_path m) s); auto.
  - intros p. cbn [nodes free leases with_nodes]. destruct (meta_ok P _ (hold s ns1) Mp W2) as (_ & S3).
    destruct (meta_ok P _ ns1 (hold_meta s) W1) as (_ & S2). pose proof (same_pages P _ _ S3 p) as E3.
    pose proof (same_pages P _ _ S2 p) as E2. pose proof (same_pages P _ _ S1 p) as E1'. specialize (G p).
    unfold update at 1. unfold hold, update in *. lia.
Qed.

Lemma pinned_above_spec fuel s ns t : pinned_above fuel s ns = Some t -> exists n, In n ns /\ n_path n = t /\ pinned n = true.
Proof.
  revert s. induction fuel as [|fuel IH]; cbn; [discriminate|]. intros s. destruct (find_node s ns) as [n|] eqn:F; [|discriminate].
  destruct (pinned n) eqn:Pin; [|apply IH]. intros [= <-]. apply find_node_some in F. exists n. tauto.
Qed.
Theorem unpin_inv tokens st : inv st -> inv (snd (unpin P tokens st)).
Proof.
  intros [V N G]. unfold unpin. destruct (pinned_above _ _ (nodes st)) as [s|] eqn:F; [|constructor; auto]. cbn [snd].
  apply pinned_above_spec in F. destruct F as (n & Hn & En & Pin). pose proof (i_wf _ _ _ _ _ V) as W.
  assert (Mp : meta_only (fun m => if same_path (n_path m) s then set_pinned false m else m)) by apply (meta_update s), meta_pinned.
  assert (V1 : node_inv P (update s (set_pinned false) (nodes st)) (s :: held_of (leases st)) [] []).
  { apply (meta_inv P _ _ (held_of (leases st)) _ [] [] []); auto.
    - intros m Hm O. apply (i_leaf _ _ _ _ _ V m Hm). destruct (same_path (n_path m) s); auto.
    - intros m Hm N' L Z. destruct (same_path (n_path m) s) eqn:Q; apply (i_order _ _ _ _ _ V m Hm); auto.
    - intros m Hm. pose proof (i_holds _ _ _ _ _ V m Hm) as H. cbn [copies].
      destruct (same_path (n_path m) s) eqn:Q; [|rewrite H; reflexivity].
      apply same_path_spec in Q. assert (m = n) by (apply (same_node P (nodes st)); auto; congruence). subst m.
      cbn [holds pinned set_pinned]. rewrite Pin in H. lia.
    - intros q [<-|I]; [right; apply in_paths; eauto|]. apply (i_held _ _ _ _ _ V). auto.
    - intros m Hm Z. apply (i_solid _ _ _ _ _ V m Hm). destruct (same_path (n_path m) s); auto. }
  set (st1 := tick (with_nodes st (update s (set_pinned false) (nodes st)))).
  destruct (release_hold_ok P P_positive s st1 _ V1) as (V2 & K). pose proof (k_leases P _ _ K) as L.
  change (leases st1) with (leases st) in L. constructor; rewrite ?L; auto.
  intros p. pose proof (k_pages P _ _ K p) as Kp. destruct (meta_ok P _ (nodes st) Mp W) as (_ & S1).
  pose proof (same_pages P _ _ S1 p) as E1. specialize (G p). cbn [nodes free st1 tick with_nodes] in Kp. unfold update in Kp. lia.
Qed.
End Pool.
End Reachable.
